const done = arguments[arguments.length - 1];
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const isBad = ({ impact }) => impact === 'serious' || impact === 'critical';
const sentence = ({ id, impact, help, nodes }) =>
  `${id} (${impact}): ${help}: ${nodes.map(({ html }) => html).join(' ')}`;
axe.run(document, { runOnly: { type: 'tag', values: tags } }).then(
  ({ violations }) => done(violations.filter(isBad).map(sentence)),
  (error) => done(String(error)),
);
