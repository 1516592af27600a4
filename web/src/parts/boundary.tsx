/** @file Catches what a view throws, so that the rest of the page stays. A class, because React has no other way. */
import { Component, type ReactNode } from "react";
import { Failed } from "./state.tsx";

export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    // A part of the page that did not load has to be asked for anew, and only a new page does that.
    return error ? <Failed error={error} retry={() => location.reload()} /> : this.props.children;
  }
}
