/** @file What the list leaves out, and its order. */
import type { ReactNode } from "react";
import { COLUMNS, type ListState } from "./state.ts";

interface FiltersProps {
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
  readonly kinds: readonly string[];
  readonly languages: readonly string[];
  /** Parts of the catalogue: what is not there is not offered. */
  readonly parts: readonly string[];
}

export function Filters({ state, change, kinds, languages, parts }: FiltersProps) {
  const columns = Object.entries(COLUMNS).filter(([column]) => !column.includes(".") || parts.includes(column.split(".")[0]!));
  const filtered = state.from || state.to || state.firing || state.described || state.kind || state.language;
  return (
    <div className="filters">
      <fieldset>
        <legend>Density, % of tokens</legend>
        <span className="range">
          <Percent label="Density from, per cent" value={state.from} placeholder="0" onChange={(from) => change({ from })} />
          <span aria-hidden="true">–</span>
          <Percent label="Density to, per cent" value={state.to} placeholder="100" onChange={(to) => change({ to })} />
        </span>
      </fieldset>
      <Choice label="Firing" value={state.firing} onChange={(firing) => change({ firing: firing as ListState["firing"] })}>
        <option value="">any</option>
        <option value="fires">fires</option>
        <option value="silent">silent</option>
      </Choice>
      {(parts.includes("description") || state.described) && (
        <Choice
          label="Description"
          value={state.described}
          onChange={(described) => change({ described: described as ListState["described"] })}
        >
          <option value="">any</option>
          <option value="yes">described</option>
          <option value="no">not described</option>
        </Choice>
      )}
      <Names label="Mostly of kind" names={kinds} value={state.kind} onChange={(kind) => change({ kind })} />
      <Names label="Mostly in language" names={languages} value={state.language} onChange={(language) => change({ language })} />
      <Choice
        label="Order"
        value={state.sort ? `${state.sort} ${state.ascending ? "up" : "down"}` : ""}
        onChange={(value) => {
          const [sort, way] = value.split(" ");
          change({ sort: (sort || undefined) as ListState["sort"], ascending: way === "up" });
        }}
      >
        <option value="">{state.box.trim() === "" ? "number" : "best match"}</option>
        {columns.flatMap(([column, name]) => [
          <option key={`${column} down`} value={`${column} down`}>
            {name} ↓
          </option>,
          <option key={`${column} up`} value={`${column} up`}>
            {name} ↑
          </option>,
        ])}
      </Choice>
      {filtered && (
        <button
          type="button"
          className="button plain small"
          onClick={() => change({ from: "", to: "", firing: "", described: "", kind: "", language: "" })}
        >
          Clear filters
        </button>
      )}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly children: ReactNode;
}

function Choice({ label, value, onChange, children }: ChoiceProps) {
  return (
    <label>
      {label}
      <select className="select" value={value} onChange={(event) => onChange(event.target.value)}>
        {children}
      </select>
    </label>
  );
}

function Names({ names, ...choice }: Omit<ChoiceProps, "children"> & { names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <Choice {...choice}>
      <option value="">any</option>
      {names.map((name) => (
        <option key={name}>{name}</option>
      ))}
    </Choice>
  );
}

interface PercentProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder: string;
  readonly onChange: (value: string) => void;
}

function Percent({ label, value, placeholder, onChange }: PercentProps) {
  return (
    <input
      className="field"
      inputMode="decimal"
      aria-label={label}
      placeholder={placeholder}
      value={value}
      onChange={(event) => onChange(event.target.value.replace(/[^\d.]/g, ""))}
    />
  );
}
