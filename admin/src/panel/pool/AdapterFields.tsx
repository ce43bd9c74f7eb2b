import { Act } from "../parts/Act";
import { Field } from "../parts/Field";
import { TYPES } from "./AdapterRow";
import { checked, formatted } from "./configuration";
import { LABELS, type Typed } from "./typed";

interface Props {
  values: Typed;
  locked: boolean;
  /** Where the configuration stops being JSON. */
  wrong: string | null;
  refusal: (field: keyof Typed, ...others: (keyof Typed)[]) => string | undefined;
  onSet: (change: Partial<Typed>) => void;
}

export function AdapterFields({ values, locked, wrong, refusal, onSet }: Props) {
  const line = (field: "name" | "imageName" | "imageVersion" | "healthPath" | "port", more: LineProps = {}) => (
    <Field
      label={LABELS[field]}
      hint={more.hint}
      optional={more.optional ?? false}
      error={refusal(field, ...(more.dependsOn ?? []))}
    >
      {(given) => (
        <input
          {...given}
          data-first={field === "name" || undefined}
          value={values[field]}
          readOnly={locked}
          inputMode={field === "port" ? "numeric" : undefined}
          placeholder={more.placeholder}
          autoComplete="off"
          spellCheck={field === "name"}
          onChange={(event) =>
            onSet({
              [field]: field === "port" ? event.target.value.replace(/\D/g, "").slice(0, 6) : event.target.value,
            })
          }
        />
      )}
    </Field>
  );

  function format() {
    const now = checked(values.configuration);
    if ("value" in now) onSet({ configuration: formatted(now.value) });
  }

  return (
    <>
      <div className="pair wide-first">
        {line("name")}
        <fieldset className="field types">
          <legend>Type</legend>
          <div>
            {(["EDGE", "MESH"] as const).map((type) => (
              <label key={type} title={MEANING[type]}>
                <input
                  type="radio"
                  name="type"
                  checked={values.type === type}
                  disabled={locked}
                  onChange={() => onSet({ type })}
                />
                {TYPES[type]}
              </label>
            ))}
          </div>
          <p className="hint">{MEANING[values.type]}</p>
        </fieldset>
      </div>
      <Field label={LABELS.description} optional error={refusal("description")}>
        {(given) => (
          <textarea
            {...given}
            rows={2}
            value={values.description}
            readOnly={locked}
            onChange={(event) => onSet({ description: event.target.value })}
          />
        )}
      </Field>
      <div className="pair wide-first">
        {line("imageName", { placeholder: "registry.example.com/plant/opcua-adapter" })}
        {line("imageVersion", { placeholder: "3.13.2", hint: "A tag or a digest" })}
      </div>
      <div className="pair">
        {line("port", { optional: true, hint: "Where it listens; a Service makes it reachable" })}
        {line("healthPath", {
          optional: true,
          placeholder: "/healthz",
          hint: "Tells on that port whether it is well",
          dependsOn: ["port"],
        })}
      </div>
      <Field
        label={LABELS.configuration}
        optional
        error={wrong ?? refusal("configuration")}
        act={
          <Act kind="quiet" reason={wrong && "It is not JSON yet."} onAct={format}>
            Format
          </Act>
        }
      >
        {(given) => (
          <textarea
            {...given}
            className="code"
            rows={8}
            spellCheck={false}
            value={values.configuration}
            readOnly={locked}
            placeholder="JSON, up to 64 KiB"
            onChange={(event) => onSet({ configuration: event.target.value })}
          />
        )}
      </Field>
    </>
  );
}

interface LineProps {
  placeholder?: string;
  hint?: string;
  optional?: boolean;
  dependsOn?: (keyof Typed)[];
}

const MEANING = {
  EDGE: "Near its data source; goes on when the centre can't be reached",
  MESH: "In the middle, in a central cluster",
};
