/** @file The family. */
import { Empty } from "../parts/state.tsx";
import { useTitle } from "../place.ts";

export default function FamilyView() {
  useTitle("Family");
  return (
    <>
      <h1>Family</h1>
      <Empty>This view is not made yet.</Empty>
    </>
  );
}
