/** @file The family: its autoencoders beside each other, which concepts they have found, and what features split into. */
import { useFamily } from "../api.ts";
import { count } from "../format.ts";
import { Section } from "../parts/section.tsx";
import { Empty, Loaded } from "../parts/state.tsx";
import { useTitle } from "../place.ts";
import { CompletenessCurves } from "./completeness.tsx";
import { Figures } from "./figures.tsx";
import { Splitting } from "./splitting.tsx";
import "./view.css";

export default function FamilyView() {
  useTitle("Family");
  const query = useFamily();
  return (
    <>
      <h1>Family</h1>
      <Loaded query={query}>
        {({ model, autoencoders }) => {
          if (autoencoders.length === 0)
            return (
              <Empty>
                There is no autoencoder here yet. <code>monoscope tour</code> trains two.
              </Empty>
            );
          const bySize = autoencoders.toSorted((a, b) => a.dSae - b.dSae);
          return (
            <>
              <p className="muted small">
                {autoencoders.length === 1 ? "One autoencoder" : `${autoencoders.length} autoencoders`} of {model.id}, before block{" "}
                {model.layer} of {model.layers}: a residual stream of {count(model.dIn)} numbers
              </p>
              <div className="family">
                <Section title="Side by side" note="cost and fidelity; what monoscope evaluate measured">
                  <Figures autoencoders={bySize} />
                </Section>
                <Section
                  title="What a feature splits into"
                  note="its relatives in larger autoencoders: nearer than chance, or firing where it does"
                >
                  <Splitting autoencoders={bySize} />
                </Section>
                <Section title="Which concepts have a feature of their own" note="against how often they occur">
                  <CompletenessCurves />
                </Section>
              </div>
            </>
          );
        }}
      </Loaded>
    </>
  );
}
