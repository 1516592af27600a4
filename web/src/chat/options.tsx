/** @file How answers are drawn. */
interface OptionsProps {
  readonly temperature: number;
  readonly maxTokens: number;
  readonly onTemperature: (temperature: number) => void;
  readonly onMaxTokens: (maxTokens: number) => void;
}

export function Options({ temperature, maxTokens, onTemperature, onMaxTokens }: OptionsProps) {
  return (
    <details className="options">
      <summary>How answers are drawn</summary>
      <label title="0 always takes the likeliest token">
        Temperature
        <input
          type="range"
          min={0}
          max={1.5}
          step={0.1}
          value={temperature}
          onChange={(event) => onTemperature(Number(event.target.value))}
        />
        <output className="number">{temperature.toFixed(1)}</output>
      </label>
      <label>
        Most tokens
        <input type="range" min={20} max={500} step={20} value={maxTokens} onChange={(event) => onMaxTokens(Number(event.target.value))} />
        <output className="number">{maxTokens}</output>
      </label>
    </details>
  );
}
