/** @file The page: its header, and the view that the address names. */
import { QueryClientProvider, usePrefetchQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { Link, Route, Switch, useLocation, useSearchParams } from "wouter";
import { featureQuery, useFamily } from "./api.ts";
import { count } from "./format.ts";
import { KeysDialog, useKeys } from "./keys.tsx";
import { Boundary } from "./parts/boundary.tsx";
import { Empty, Loading } from "./parts/state.tsx";
import { pathWith, useAutoencoder } from "./place.ts";
import { queries } from "./query.ts";
import { THEMES, useTheme } from "./theme.ts";
import "./app.css";

const VIEWS = {
  chat: () => import("./chat/view.tsx"),
  features: () => import("./features/view.tsx"),
  feature: () => import("./feature/view.tsx"),
  map: () => import("./map/view.tsx"),
  family: () => import("./family/view.tsx"),
  training: () => import("./training/view.tsx"),
};
const Chat = lazy(VIEWS.chat);
const Features = lazy(VIEWS.features);
const FeatureView = lazy(VIEWS.feature);
const MapView = lazy(VIEWS.map);
const FamilyView = lazy(VIEWS.family);
const TrainingView = lazy(VIEWS.training);
const AHEAD_MS = 1000;

export function App() {
  return (
    <QueryClientProvider client={queries}>
      <Page />
    </QueryClientProvider>
  );
}

function Page() {
  const [path, go] = useLocation();
  const family = useFamily().data;
  const sae = useAutoencoder(family);
  const [keys, setKeys] = useState(false);
  useCodeAhead();
  useKeys({
    "?": () => setKeys(true),
    "/": () => {
      const field = document.querySelector<HTMLElement>("[data-search]");
      if (field) field.focus();
      else if (sae) go(`/${encodeURIComponent(sae.id)}/features?focus`);
    },
  });
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Header onKeys={() => setKeys(true)} />
      <main className="main" id="main" tabIndex={-1}>
        <Boundary key={path.replace(/\d+$/, "")}>
          <Suspense fallback={<Loading />}>
            <Switch>
              <Route path="/" component={Chat} />
              <Route path="/family" component={FamilyView} />
              <Route path="/training" component={TrainingView} />
              <Route path="/:sae/features">{({ sae }) => <Features key={sae} sae={decodeURIComponent(sae)} />}</Route>
              <Route path="/:sae/features/:feature">
                {({ sae, feature }) => <FeaturePage sae={decodeURIComponent(sae)} feature={Number(feature)} />}
              </Route>
              <Route path="/:sae/map">{({ sae }) => <MapView sae={decodeURIComponent(sae)} />}</Route>
              <Route>
                <h1>Nothing here</h1>
                <Empty>
                  There is nothing at this address. <Link href="/">Go to the chat</Link>
                </Empty>
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
      <KeysDialog open={keys} onClose={() => setKeys(false)} />
    </>
  );
}

/** Fetches the other views' code after the first one's, so that they are there at once, and also while the server is away. */
function useCodeAhead(): void {
  useEffect(() => {
    const timer = setTimeout(() => {
      for (const load of Object.values(VIEWS)) load().catch(() => {}); // it is asked for again when it is needed
    }, AHEAD_MS);
    return () => clearTimeout(timer);
  }, []);
}

/** Asks for the feature while the code that shows it is still on its way. */
function FeaturePage({ sae, feature }: { sae: string; feature: number }) {
  usePrefetchQuery(featureQuery(sae, feature));
  return <FeatureView sae={sae} feature={feature} />;
}

function Header({ onKeys }: { onKeys: () => void }) {
  const [path, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  const family = useFamily().data;
  const sae = useAutoencoder(family);
  const [theme, setTheme] = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const of = sae && `/${encodeURIComponent(sae.id)}`;

  function switchTo(id: string): void {
    const target = pathWith(path, id);
    // The maps of a family are looked at side by side: the view, the words and the colours stay.
    const kept = new URLSearchParams([...query].filter(([name]) => name !== "at"));
    if (target !== path) go(target.endsWith("/map") && kept.size > 0 ? `${target}?${kept}` : target);
    else setQuery((query) => new URLSearchParams([...[...query].filter(([name]) => name !== "sae"), ["sae", id]]));
  }

  return (
    <header className="header">
      <Link className="brand" href="/">
        <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true">
          <circle cx="9" cy="9" r="7" fill="none" stroke="var(--accent)" strokeWidth="2" />
          <circle cx="9" cy="9" r="3" fill="var(--heat)" />
        </svg>
        Monoscope
      </Link>
      <nav className="nav" aria-label="Views">
        <NavLink href="/" here={path === "/"}>
          Chat
        </NavLink>
        {of && (
          <>
            <NavLink href={`${of}/features`} here={/^\/[^/]+\/features/.test(path)}>
              Features
            </NavLink>
            <NavLink href={`${of}/map`} here={/^\/[^/]+\/map/.test(path)}>
              Map
            </NavLink>
          </>
        )}
        <NavLink href="/family" here={path === "/family"}>
          Family
        </NavLink>
        <NavLink href="/training" here={path === "/training"}>
          Training
        </NavLink>
      </nav>
      <div className="settings">
        {family && sae && (
          <select className="select" aria-label="Autoencoder" value={sae.id} onChange={(event) => switchTo(event.target.value)}>
            {family.autoencoders.map(({ id, dSae }) => (
              <option key={id} value={id}>
                {id} · {count(dSae)} features
              </option>
            ))}
          </select>
        )}
        <button type="button" className="icon keys-button" aria-label="Keys" title="Keys" onClick={onKeys}>
          ?
        </button>
        <button
          type="button"
          className="icon"
          aria-label={`Theme: ${theme}. Change to ${next}`}
          title={`Theme: ${theme}`}
          onClick={() => setTheme(next)}
        >
          <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
            <path d={ICONS[theme]} fill="currentColor" />
          </svg>
        </button>
      </div>
    </header>
  );
}

const ICONS = { system: "M8 2a6 6 0 0 1 0 12z", light: "", dark: "M8 2a6 6 0 0 1 0 12a6 6 0 0 1 0-12z" } as const;

function NavLink({ href, here, children }: { href: string; here: boolean; children: ReactNode }) {
  return (
    <Link href={href} aria-current={here ? "page" : undefined}>
      {children}
    </Link>
  );
}
