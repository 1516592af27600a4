/** @file The training. */
import { Empty } from "../parts/state.tsx";
import { useTitle } from "../place.ts";

export default function TrainingView() {
  useTitle("Training");
  return (
    <>
      <h1>Training</h1>
      <Empty>This view is not made yet.</Empty>
    </>
  );
}
