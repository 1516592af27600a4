import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = process.env.MONOSCOPE_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  plugins: [react()],
  build: { outDir: "../dist/web", emptyOutDir: true, target: "es2023", assetsInlineLimit: 0, manifest: true },
  // The server answers its own host and origin only, so the proxy speaks as if it were the page of that server.
  server: {
    proxy: Object.fromEntries(["/api", "/v1"].map((path) => [path, { target: SERVER, changeOrigin: true, headers: { origin: SERVER } }])),
  },
});
