/** @file Search and browse. */
import { useTitle } from "../place.ts";

export default function FeaturesView({ sae }: { sae: string }) {
  useTitle("Features");
  return <h1>Features of {sae}</h1>;
}
