// Does with a page what a program does that knows nothing of it: fills in every field, presses one of its buttons.
// Returns what it pressed, or null where there is nothing to press.
const [values, choice] = arguments;
const isPressed = (element) => element.offsetParent !== null && !element.disabled;
const all = [...document.querySelectorAll('button, input[type=submit], summary, a[href], [role=button], [onclick]')];
const buttons = all.filter(isPressed);
for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select')) {
  field.value = values[field.name] ?? '';
}
// What a page asks of a person it asks of nobody else.
for (const form of document.forms) form.noValidate = true;
window.isOfBefore = true;
const pressed = buttons[choice % buttons.length];
pressed?.click();
return pressed?.innerText ?? null;
