/** @file The map. */
import { Empty } from "../parts/state.tsx";
import { useTitle } from "../place.ts";

export default function MapView({ sae }: { sae: string }) {
  useTitle("Map");
  return (
    <>
      <h1>Map</h1>
      <Empty>The map of {sae} is not drawn yet.</Empty>
    </>
  );
}
