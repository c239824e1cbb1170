/* The parts of the form that depend on the study: its inputs, and its options from their JSON Schema. */

/* A field with its label; `control` is an element that takes a value. */
function labelled(name, control, about) {
  const row = make("div", "row");
  control.id = "field-" + name;
  control.name = name;
  const label = make("label", "", name.replaceAll("_", " "));
  label.htmlFor = control.id;
  row.append(label, control);
  if (about) {
    const note = make("p", "note", about);
    note.id = "about-" + name;
    control.setAttribute("aria-describedby", note.id);
    row.append(note);
  }
  return row;
}

export function choice(values, selected = "") {
  const control = make("select");
  fill(control, values, selected);
  return control;
}

/* Give a select other values, `[value, name]` each; one that is still there stays chosen. */
export function fill(control, values, selected = control.value) {
  control.replaceChildren(
    ...values.map(([value, name]) => {
      const option = make("option", "", name);
      option.value = value;
      return option;
    }),
  );
  control.value = selected;
  if (control.selectedIndex < 0) control.selectedIndex = 0;
}

/* Rows for the inputs of a study. */
export function inputs(study) {
  const texts = study.inputs.map((name) => {
    const control = prose("textarea", "");
    control.rows = study.inputs.length > 1 ? 2 : 4;
    control.spellcheck = false;
    return labelled(name, control);
  });
  const fields = Object.entries(study.fields).map(([name, values]) => {
    return labelled(name, choice(values.map((value) => [value, value])));
  });
  return [...texts, ...fields];
}

/* Rows for the options of a study. */
export function options(schema) {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const control = controlOf(resolved(field, schema));
    return control ? [labelled(name, control, field.description)] : [];
  });
}

/* A field without the references and alternatives of its schema: the alternative that is not null. */
function resolved(field, schema) {
  if (field.$ref) return { ...field, ...resolved(schema.$defs[field.$ref.split("/").pop()], schema) };
  const found = field.anyOf?.find((each) => each.type !== "null");
  return found ? { ...field, ...resolved(found, schema) } : field;
}

const AS_IS = ["", "as evaluated"]; // what each model was asked with; variants of a study differ

/* What takes a value of a schema; none for texts, lists and objects. */
function controlOf({ type, enum: values, minimum, maximum }) {
  if (values) return choice([AS_IS, ...values.map((value) => [JSON.stringify(value), value])]);
  if (type === "boolean") return choice([AS_IS, ["true", "yes"], ["false", "no"]]);
  if (type !== "integer" && type !== "number") return null;
  const control = make("input");
  control.type = "number";
  control.step = type === "integer" ? "1" : "any";
  control.placeholder = AS_IS[1];
  if (minimum !== undefined) control.min = minimum;
  if (maximum !== undefined) control.max = maximum;
  return control;
}

/* Values of the controls in an element by name, as text. */
export function values(element) {
  return Object.fromEntries([...element.querySelectorAll("[name]")].map((control) => [control.name, control.value]));
}

/* The same as JSON has them, those that are set. */
export function given(element) {
  const controls = [...element.querySelectorAll("[name]")].filter(({ value }) => value);
  return Object.fromEntries(
    controls.map(({ name, type, value, valueAsNumber }) => {
      return [name, type === "number" ? valueAsNumber : JSON.parse(value)];
    }),
  );
}

/* Set the controls in an element; those that `given` leaves out are emptied, or take the first choice. */
export function set(element, given) {
  for (const control of element.querySelectorAll("[name]")) {
    control.value = given[control.name] ?? "";
    if (control.selectedIndex < 0) control.selectedIndex = 0;
  }
}
