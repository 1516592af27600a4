/** @file The list of features: only the rows in sight are there, and only their pages are asked for. */
import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { SearchHit, SearchPage, SearchRequest } from "../api.ts";
import { count } from "../format.ts";
import { useMedia } from "../media.ts";
import { Empty, Failed, Loading } from "../parts/state.tsx";
import { Head } from "./head.tsx";
import { DEEPEST, PAGE, pageQuery } from "./pages.ts";
import { Row } from "./row.tsx";
import { isWhole, type ListState, writeState } from "./state.ts";

// As in view.css.
const WIDE = "(min-width: 1200px)";
const ROW_PX = { wide: 40, narrow: 60 };

interface ListProps {
  readonly sae: string;
  readonly dSae: number;
  readonly request: SearchRequest;
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
}

export function List({ sae, dSae, request, state, change }: ListProps) {
  const whole = isWhole(request);
  const key = JSON.stringify(request);
  const body = useRef<HTMLTableSectionElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(body.current?.offsetTop ?? 0), []);
  const [length, setLength] = useState({ key, rows: whole ? dSae : PAGE, certain: whole });
  const rows = Math.min(length.key === key ? length.rows : PAGE, DEEPEST + PAGE);
  const wide = useMedia(WIDE);
  const row = wide ? ROW_PX.wide : ROW_PX.narrow;
  const virtual = useWindowVirtualizer({ count: rows, estimateSize: () => row, overscan: 8, scrollMargin: top });
  useEffect(() => {
    if (row > 0) virtual.measure();
  }, [virtual, row]);
  const shown = virtual.getVirtualItems();
  const first = Math.floor((shown[0]?.index ?? 0) / PAGE);
  const last = Math.floor((shown.at(-1)?.index ?? 0) / PAGE);
  const wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const pages = useQueries({
    queries: wanted.map((page) => ({
      ...pageQuery(sae, request, page),
      placeholderData: page === 0 ? keepPreviousData : undefined,
    })),
  });
  const byPage = new Map(wanted.map((page, i) => [page, pages[i]!]));
  const farthest = byPage.get(last);
  const farthestData = farthest?.isPlaceholderData ? undefined : farthest?.data;
  useEffect(() => {
    setLength((before) => lengthened(before.key === key ? before : { key, rows: whole ? dSae : PAGE, certain: whole }, last, farthestData));
  }, [key, whole, dSae, last, farthestData]);

  const failed = pages.find(({ isError }) => isError);
  if (failed?.error) return <Failed error={failed.error} retry={() => void failed.refetch()} />;
  const start = byPage.get(0);
  if (first === 0 && start?.data === undefined) return <Loading what={request.prompt ? "Reading the text" : "Searching"} />;
  if (first === 0 && start?.data?.hits.length === 0) return <Nothing request={request} />;
  const kind = matchKind(request);
  const list = writeState(state);
  return (
    <>
      <p className={whole ? "hidden" : "small muted number"} role="status">
        {length.certain && length.key === key ? counted(rows) : `More than ${counted(rows - PAGE)}`}
      </p>
      <table className={`list ${kind ? "searched" : "plain"}`} aria-label="Features" aria-rowcount={length.certain ? rows + 1 : -1}>
        <Head state={state} change={change} match={kind} />
        <tbody ref={body} className="list-body" style={{ height: virtual.getTotalSize() }}>
          {shown.map(({ index, start }) => {
            const hit: SearchHit | undefined = byPage.get(Math.floor(index / PAGE))?.data?.hits[index % PAGE];
            const arrived = byPage.get(Math.floor(index / PAGE))?.data !== undefined;
            if (arrived && !hit) return null;
            return <Row key={index} sae={sae} hit={hit} list={list} index={index} top={start - top} match={kind} />;
          })}
        </tbody>
      </table>
    </>
  );
}

function counted(features: number): string {
  return features === 1 ? "1 feature" : `${count(features)} features`;
}

interface Length {
  readonly key: string;
  readonly rows: number;
  readonly certain: boolean;
}

function lengthened(before: Length, page: number, data: SearchPage | undefined): Length {
  if (before.certain || data === undefined) return before;
  const total = data.total ?? (data.more ? undefined : page * PAGE + data.hits.length);
  if (total !== undefined) return { ...before, rows: total, certain: true };
  return before.rows >= (page + 2) * PAGE ? before : { ...before, rows: (page + 2) * PAGE };
}

export type MatchKind = "prompt" | "tokens" | "like" | "text";

/** What a row's match is measured by. */
function matchKind({ prompt, tokens, like, text }: SearchRequest): MatchKind | undefined {
  if (prompt) return "prompt";
  if (tokens) return "tokens";
  if (like !== undefined) return "like";
  return text === undefined ? undefined : "text";
}

function Nothing({ request: { text, prompt, tokens, like, where, kind, language, described } }: { request: SearchRequest }) {
  const filtered = where || kind || language || described !== undefined;
  const wanted =
    text !== undefined
      ? `has the words “${text}”`
      : prompt
        ? "fires on this text and on no other"
        : tokens
          ? "does this to the token"
          : like !== undefined
            ? "is like that"
            : undefined;
  return (
    <Empty>
      <p>
        <strong>
          {filtered ? (wanted ? `No feature that the filters leave ${wanted}` : "The filters leave no feature") : `No feature ${wanted}`}.
        </strong>
      </p>
      <p>
        {filtered
          ? wanted && "Without them there may be some."
          : "Fewer or other words may find some; a text in quotes finds features that fire on it."}
      </p>
    </Empty>
  );
}
