/** @file A feature. */
import { useTitle } from "../place.ts";

export default function FeatureView({ sae, feature }: { sae: string; feature: number }) {
  useTitle(`#${feature}`);
  return (
    <h1>
      #{feature} of {sae}
    </h1>
  );
}
