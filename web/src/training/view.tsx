/** @file Training: the runs there are, and the curves of one, live while it goes on. */
import { useSearchParams } from "wouter";
import { type Runs, type TrainingPoint, useRuns } from "../api.ts";
import { count, percent, short } from "../format.ts";
import { Stat, Stats } from "../parts/feature.tsx";
import { Section } from "../parts/section.tsx";
import { Empty, Loaded } from "../parts/state.tsx";
import { useTitle } from "../place.ts";
import { Curves } from "./curves.tsx";
import { usePoints } from "./points.ts";
import { ago, duration, type State, stateOf } from "./state.ts";
import "./view.css";

const EVERY_MS = 2000;

type Run = Runs["runs"][number];

export default function TrainingView() {
  useTitle("Training");
  const query = useRuns(EVERY_MS);
  return (
    <>
      <h1>Training</h1>
      <Loaded query={query} what="Reading the runs' logs">
        {({ runs }) => <All runs={runs} />}
      </Loaded>
    </>
  );
}

function All({ runs }: { runs: readonly Run[] }) {
  const [query, setQuery] = useSearchParams();
  const wanted = query.get("run");
  const chosen = runs.find(({ id }) => id === wanted) ?? runs[0];
  if (!chosen)
    return (
      <Empty>
        <p>
          There is no run here. <code>monoscope train</code> and <code>monoscope tour</code> write one into <code>runs</code>; a run
          elsewhere is shown by <code>monoscope explore … --runs</code> with its folder. It appears by itself once it has begun.
        </p>
      </Empty>
    );
  return (
    <div className="training">
      <nav aria-label="Runs" className="runs">
        <ul>
          {runs.map((run) => (
            <li key={run.id}>
              <button
                type="button"
                aria-current={run.id === chosen.id ? "true" : undefined}
                onClick={() => setQuery({ run: run.id }, { replace: true })}
              >
                <span className="name">{run.id}</span>
                <span className="small muted number">{run.latest ? `${short(run.latest.tokens)} tokens` : "no step yet"}</span>
                <StateWord state={stateOf(run)} />
              </button>
            </li>
          ))}
        </ul>
      </nav>
      <OneRun key={chosen.id} run={chosen} />
    </div>
  );
}

const WORDS = { running: "in progress", finished: "finished", stopped: "stopped" } as const satisfies Record<State, string>;

function StateWord({ state }: { state: State }) {
  return (
    <span className={`run-state small ${state}`}>
      <span className="dot" aria-hidden="true" />
      {WORDS[state]}
    </span>
  );
}

function OneRun({ run }: { run: Run }) {
  const state = stateOf(run);
  const query = usePoints(run, state === "running" ? EVERY_MS : false);
  const { latest, changed, finished } = run;
  if (!latest)
    return (
      <Empty>
        {run.id} {finished ? "has finished without writing a step." : "has not written its first step yet."}
      </Empty>
    );
  return (
    <div className="run">
      <h2>{run.id}</h2>
      <p className="small muted" role="status">
        {state === "finished" && `Finished ${ago(changed)}.`}
        {state === "running" && `In progress, ${percent(latest.progress)} done.`}
        {state === "stopped" &&
          `Stopped, or at a standstill: its last line was written ${ago(changed)}, at ${percent(latest.progress)}. The same command goes on from its last checkpoint.`}
      </p>
      <progress className="progress" value={latest.progress} max={1} aria-label="Share of the training that is done" />
      <Stats>
        <Stat name="Tokens" value={count(latest.tokens)} />
        <Stat name="Steps" value={count(latest.step)} />
        <Stat name="Speed" value={count(Math.round(latest.tokensPerSecond))} unit="tokens/s" />
        {state === "running" && <Stat name="Time left" value={duration(latest.secondsLeft)} />}
      </Stats>
      <Latest point={latest} />
      <Loaded query={query} what="Reading the log">
        {({ points }) => <Curves points={points} />}
      </Loaded>
    </div>
  );
}

/** The last step's figures: what the curves end in. */
function Latest({ point: { members } }: { point: TrainingPoint }) {
  return (
    <Section title="Last step" note="on the batch of the step">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a table that is wider than the screen is scrolled with the keyboard too */}
      <section className="latest" aria-label="Figures of the last step" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">autoencoder</th>
              <th scope="col">loss</th>
              <th scope="col">FVU</th>
              <th scope="col">L0</th>
              <th scope="col">dead</th>
              <th scope="col">gradient norm</th>
              <th scope="col">learning rate</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(members).map(([name, { loss, fvu, l0, dead, gradientNorm, learningRate }]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{loss.toFixed(2)}</td>
                <td>{percent(fvu)}</td>
                <td>{l0.toFixed(1)}</td>
                <td>{percent(dead)}</td>
                <td>{gradientNorm.toFixed(2)}</td>
                <td>{learningRate.toExponential(1).replace("-", "−")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Section>
  );
}
