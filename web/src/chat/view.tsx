/** @file Chat. */
import { useTitle } from "../place.ts";

export default function ChatView() {
  useTitle("Chat");
  return <h1>Chat</h1>;
}
