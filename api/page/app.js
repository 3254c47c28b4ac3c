// The page asks the API for everything that it shows. One view at a time: it is drawn into <main>, and ends when the address changes.
import { overTime, histogram, format, percent, clock } from './charts.js';

const main = document.getElementById('main');

// h makes an element: attributes first, on… are listeners, null and false are left out.
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(path, signal) {
  const resp = await fetch(path, { signal, headers: { Accept: 'application/json' } });
  if (resp.ok) return resp.json();
  const problem = await resp.json().catch(() => ({}));
  throw new Refused(resp.status, problem.detail || `The API answered ${resp.status}.`);
}

const when = (at) => (at ? new Date(at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' }) : '–');
const short = (digest) => (digest ? digest.replace('sha256:', '').slice(0, 12) : '–');
const badge = (text, kind = text) => h('span', { class: 'badge is-' + kind.replaceAll(' ', '-') }, text);
const bundleName = (b) => (b ? `${b.name} ${b.version}` : '–');
const state = (text) => h('p', { class: 'state', role: 'status' }, text);

function failure(err, again) {
  if (err.status === 401 || err.status === 403) return denied(err.status);
  const text = err instanceof Refused ? err.message : 'The API cannot be reached.';
  return h('div', { class: 'error', role: 'alert' }, h('p', {}, text), h('button', { class: 'plain', onclick: again }, 'Try again'));
}

function denied(status) {
  if (setup.login && status === 401) return h('div', { class: 'state' }, h('p', {}, 'Log in to see verdicts and figures.'), h('a', { class: 'button', href: '/login' }, 'Log in'));
  return h('p', { class: 'state' }, status === 403 || setup.who ? 'You may not read here: the scope read is missing.' : 'This page has no login: set API_OIDC_CLIENT_ID, or ask the API with a token.');
}

function table(caption, columns, rows, none) {
  if (rows.length === 0) return state(none);
  const head = columns.map(([name, , kind]) => h('th', { scope: 'col', class: kind === 'number' && 'number' }, name));
  const body = rows.map((row) => h('tr', {}, columns.map(([, cell, kind]) => h('td', { class: kind || null }, cell(row)))));
  return h('div', { class: 'scroll' }, h('table', {}, caption && h('caption', {}, caption), h('thead', {}, h('tr', {}, head)), h('tbody', {}, body)));
}

const card = (name, value, note) => h('div', { class: 'card' }, h('p', { class: 'name' }, name), h('p', { class: 'value' }, value), h('p', { class: 'note' }, note || ' '));
const key = (entries) => h('ul', { class: 'key' }, entries.map(([kind, name]) => h('li', {}, h('i', { class: kind }), name)));

// polled draws what a path answers, again every so often, into a place of its own. What was drawn stays when an answer fails, with the failure above it.
function polled(path, every, draw, signal) {
  const problem = h('div'), place = h('div', { 'aria-busy': 'true' }, state('Loading …'));
  let timer, opened = null;
  const look = async () => {
    clearTimeout(timer);
    try {
      const answer = await ask(path, signal);
      opened = new Set([...place.querySelectorAll('details[open]')].map((d) => d.dataset.name));
      place.replaceChildren(draw(answer));
      for (const d of place.querySelectorAll('details')) d.open = opened.has(d.dataset.name);
      problem.replaceChildren();
    } catch (err) {
      if (signal.aborted) return;
      problem.replaceChildren(failure(err, look));
      if (place.getAttribute('aria-busy') === 'true') place.replaceChildren();
    }
    place.setAttribute('aria-busy', 'false');
    if (!signal.aborted) timer = setTimeout(look, every);
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  look();
  return h('div', {}, problem, place);
}

// ---- views: each gives its heading and what stands below it

const views = {
  overview(signal) {
    if (!setup.sources.stream) return ['Overview', state('There is nothing to watch here.')];
    if (!setup.may) return ['Overview', denied(setup.who ? 403 : 401)];
    const seconds = [], kept = 300;
    let recent = [], replicas = null;
    const cards = h('div', { class: 'cards', 'aria-live': 'off' }), charts = h('div', { class: 'charts' }), list = h('div', { class: 'card' }), status = h('p', { class: 'state', role: 'status' }, 'Connecting …');
    const draw = () => {
      const last = seconds.at(-1);
      if (!last) return;
      const window = seconds.slice(-10), mean = (f) => window.reduce((sum, s) => sum + f(s), 0) / window.length;
      const all = (s) => s.verdicts.approve + s.verdicts.review + s.verdicts.decline;
      const total = mean(all), share = (d) => (total > 0 ? (100 * mean((s) => s.verdicts[d]) / total).toFixed(1) + ' %' : '–');
      const behind = replicas && replicas.partitions.reduce((sum, p) => sum + p.behind, 0);
      const quiet = total === 0;
      cards.replaceChildren(
        card('Verdicts a second', format(Math.round(total)), 'mean of 10 s'),
        card('Latency p50 · p99', quiet ? '–' : `${format(last.p50_ms)} · ${format(last.p99_ms)} ms`, 'from the transaction to its committed verdict'),
        card('Declined · reviewed', `${share('decline')} · ${share('review')}`, 'of the last 10 s'),
        card('Dead letters', format(seconds.reduce((sum, s) => sum + s.dead_letters, 0)), `in ${Math.max(1, Math.round(seconds.length / 60))} min`),
        setup.sources.replicas && card('Not answered yet', behind === null ? '…' : format(behind), replicas ? `${replicas.members.length} ${replicas.members.length === 1 ? 'scorer' : 'scorers'}` : ''));
      const at = seconds.map((s) => s.at);
      const decisions = ['approve', 'review', 'decline'];
      const one = (heading, plot, entries) => h('section', { class: 'card' }, h('h2', {}, heading), plot, entries && key(entries));
      charts.replaceChildren(
        one('Verdicts a second', overTime({ seconds: at, stacked: true, label: `Verdicts a second, now ${Math.round(total)}`, series: decisions.map((d) => ({ name: d, values: seconds.map((s) => s.verdicts[d]) })) }), decisions.map((d) => [d, d])),
        one('Latency', overTime({ seconds: at, unit: 'ms', label: `Latency in ms, now p50 ${last.p50_ms}, p99 ${last.p99_ms}`, series: ['p50', 'p99'].map((q) => ({ name: q, values: seconds.map((s) => s[q + '_ms'] || null) })) }), [['p50', 'p50'], ['p99', 'p99']]),
        one('Dead letters a second', overTime({ seconds: at, label: 'Dead letters a second', series: [{ name: 'letters', values: seconds.map((s) => s.dead_letters) }] }), [['letters', 'dead letters']]));
      status.textContent = last.following ? '' : 'The topics cannot be read now; figures stand still.';
      status.hidden = last.following;
      if (!list.matches(':focus-within')) { // nobody loses the row that they are on
        list.replaceChildren(h('h2', {}, 'Recent verdicts'), table(null, [
          ['transaction', (v) => h('a', { href: '#/verdicts/' + encodeURIComponent(v.transaction_id) }, v.transaction_id)], ['decision', (v) => badge(v.decision)],
          ['probability', (v) => format(v.probability), 'number'], ['at', (v) => clock(v.at)], ['bundle', (v) => v.bundle]], recent, 'None yet.'));
      }
    };
    const take = (f) => {
      seconds.push(f);
      if (seconds.length > kept) seconds.shift();
      recent = [...f.recent, ...recent].slice(0, 15);
    };
    const source = new EventSource('/stream');
    source.addEventListener('past', (e) => {
      seconds.length = 0;
      JSON.parse(e.data).forEach(take);
      draw();
    });
    source.addEventListener('second', (e) => { take(JSON.parse(e.data)); draw(); });
    source.onerror = async () => {
      status.hidden = false;
      status.textContent = 'The connection was lost; trying again …';
      if (source.readyState === EventSource.CLOSED && !signal.aborted) {
        await learn();
        if (!setup.may) show();
        else setTimeout(() => !signal.aborted && show(), 3000);
      }
    };
    signal.addEventListener('abort', () => source.close());
    if (setup.sources.replicas) {
      const look = async () => {
        try { replicas = await ask('/replicas', signal); } catch { replicas = null; }
        if (!signal.aborted) setTimeout(look, 5000);
      };
      look();
    }
    return ['Overview', status, cards, charts, list];
  },

  verdicts(signal, id) {
    if (id !== undefined) return oneVerdict(signal, decodeURIComponent(id));
    const search = new URLSearchParams(location.hash.split('?')[1] || ''), results = h('div');
    const field = (name, label, input) => { input.name = name; input.value = search.get(name) || ''; return h('label', {}, label, input); };
    const byID = h('form', { role: 'search', 'aria-label': 'Find a transaction', onsubmit: (e) => {
      e.preventDefault();
      const wanted = e.target.elements.id.value.trim();
      if (wanted) location.hash = '#/verdicts/' + encodeURIComponent(wanted);
    } }, h('label', {}, 'Transaction id', h('input', { name: 'id', size: 28, required: true, autocomplete: 'off', spellcheck: 'false' })), h('button', {}, 'Find'));
    const filter = h('form', { 'aria-label': 'Search for verdicts', onsubmit: (e) => {
      e.preventDefault();
      const wanted = new URLSearchParams([...new FormData(e.target)].filter(([, v]) => v !== ''));
      location.hash = '#/verdicts?' + wanted;
    } },
    field('decision', 'Decision', h('select', {}, ['', 'approve', 'review', 'decline'].map((d) => h('option', { value: d }, d || 'any')))),
    field('min_probability', 'Probability from', h('input', { type: 'number', min: 0, max: 1, step: 'any', size: 6 })),
    field('bundle', 'Bundle digest', h('input', { size: 18, maxlength: 100, spellcheck: 'false' })),
    field('from', 'Published from', h('input', { type: 'datetime-local', step: 1 })), field('to', 'before', h('input', { type: 'datetime-local', step: 1 })),
    h('button', {}, 'Search'));
    if (!setup.sources.search) return ['Verdicts', state('The audit is not read here: set API_DATABASE_URL.')];
    const wanted = new URLSearchParams(search);
    for (const name of ['from', 'to']) if (wanted.get(name)) wanted.set(name, new Date(wanted.get(name)).toISOString());
    const page = async (cursor) => {
      const asked = new URLSearchParams(wanted);
      if (cursor) asked.set('cursor', cursor);
      results.setAttribute('aria-busy', 'true');
      if (!cursor) results.replaceChildren(state('Searching …'));
      try {
        const found = await ask('/verdicts?' + asked, signal);
        const rows = verdictTable(found.verdicts);
        if (cursor) {
          results.querySelector('tbody').append(...rows.querySelectorAll('tbody tr'));
          results.lastChild.remove();
        } else results.replaceChildren(rows);
        if (found.next) results.append(h('p', {}, h('button', { class: 'plain', onclick: () => page(found.next) }, 'Older ones')));
      } catch (err) {
        if (!signal.aborted) results.replaceChildren(failure(err, () => page(cursor)));
      }
      results.setAttribute('aria-busy', 'false');
    };
    page();
    return ['Verdicts', h('div', { class: 'card' }, byID, filter, h('a', { href: '/verdicts.csv?' + wanted, download: 'verdicts.csv' }, 'Download as CSV')), h('div', { class: 'card' }, results)];
  },

  model(signal) {
    const info = polled('/model/info', 10000, (m) => h('div', {},
      h('div', { class: 'cards' }, card('Champion', bundleName(m.bundle), short(m.bundle.digest)), card('Review from', format(m.review_from), 'probability'), card('Decline from', format(m.decline_from), 'probability'),
        card(m.canary ? 'Canary' : 'Challenger', m.challenger ? bundleName(m.challenger) : 'none', m.canary ? `decides for ${percent(m.canary_share)} of the keys` : m.challenger ? 'scored in the shadow' : '')),
      h('dl', { class: 'card' }, h('dt', {}, 'Digest'), h('dd', {}, h('code', {}, m.bundle.digest)), h('dt', {}, 'Model'), h('dd', {}, `${m.format}, ${m.objective}, ${m.trees} trees, ${m.features.length} features`),
        h('dt', {}, 'In force because'), h('dd', {}, m.reason), h('dt', {}, 'Features'), h('dd', {}, m.features.join(', ')))), signal);
    const history = setup.sources.models && polled('/model/history', 10000, (all) => table('What scorers said, the latest first: from which inputs on a bundle decides', [
      ['at', (c) => when(c.at)], ['bundle', (c) => bundleName(c.bundle)], ['digest', (c) => h('code', {}, short(c.bundle.digest))], ['before', (c) => h('code', {}, short(c.previous))],
      ['canary', (c) => (c.canary ? `${bundleName(c.canary)}, ${percent(c.canary_share)}` : '–')], ['reason', (c) => c.reason, 'long'], ['scorer', (c) => c.instance],
      ['from offsets', (c) => (c.offsets ? Object.entries(c.offsets).map(([p, o]) => `${p}:${o}`).join(' ') : '–'), 'long']], all, 'No scorer has said anything yet.'), signal);
    return ['Model', info, history && h('section', { class: 'card' }, h('h2', {}, 'History'), history)];
  },

  drift(signal) {
    if (!setup.sources.drift) return ['Drift', state('Drift is not measured here.')];
    return ['Drift', polled('/drift/report', 30000, (r) => h('div', {},
      h('div', { class: 'cards' }, card('Level', badge(r.level), 'the worst feature'), card('Transactions', format(r.transactions), `of the last ${setup.drift_window}`), card('Tested', format(r.tested), `features; false alarm probability ${percent(r.alpha)}`)),
      h('section', { class: 'card' }, h('h2', {}, 'Features, the worst first'), r.features.map((f) => h('details', { class: 'feature', 'data-name': f.feature },
        h('summary', {}, h('span', {}, f.feature), badge(f.level), h('span', { class: 'number' }, 'PSI ' + format(f.psi)), histogram(f.bins, { small: true, label: `Histogram of ${f.feature}` })),
        histogram(f.bins, { label: `Histogram of ${f.feature}: profile and now` }), key([['bar-reference', 'profile'], ['bar-current', 'now']]),
        h('p', {}, f.why || `PSI ${format(f.psi)}; chance alone stays below ${format(f.psi_critical)} (p ${format(f.p_bonferroni)} after Bonferroni). ${format(f.effective_observations)} effective observations, Jensen–Shannon ${format(f.jensen_shannon)}.`)))),
      h('p', {}, h('a', { href: '/drift/report?format=html' }, 'As a report'), ` · ${r.source}`)), signal)];
  },

  quality(signal) {
    if (!setup.sources.drift) return ['Data quality', state('Data quality is not measured here.')];
    return ['Data quality', polled('/drift/report', 30000, (r) => h('div', { class: 'card' }, table(`Rules of the contract over ${format(r.transactions)} transactions of the last ${setup.drift_window}`, [
      ['rule', (q) => q.rule], ['kind', (q) => q.kind], ['severity', (q) => q.severity], ['holds', (q) => badge(q.holds ? 'holds' : 'broken')], ['checks', (q) => format(q.checks), 'number'], ['failures', (q) => format(q.failures), 'number'],
      ['share', (q) => percent(q.failure_share), 'number'], ['limit', (q) => percent(q.limit), 'number']], r.quality, 'The contract has no rules.')), signal)];
  },

  letters(signal) {
    if (!setup.sources.letters) return ['Dead letters', state('Dead letters are not read here.')];
    return ['Dead letters', polled('/dead-letters', 5000, (all) => {
      const classes = {};
      for (const d of all) classes[d.class] = (classes[d.class] || 0) + 1;
      return h('div', {},
        all.length > 0 && h('div', { class: 'cards' }, Object.entries(classes).sort((a, b) => b[1] - a[1]).map(([name, n]) => card(name, format(n), 'of the latest ' + all.length))),
        h('div', { class: 'card' }, table('The latest first; `mlmonitor dlq list` shows what they hold, `mlmonitor dlq redrive` sends them back', [
          ['at', (d) => when(d.at)], ['class', (d) => badge(d.class, 'review')], ['why', (d) => d.message, 'long'], ['from', (d) => `${d.source.topic} ${d.source.partition}:${d.source.offset}`], ['attempt', (d) => d.attempt, 'number'],
          ['bundle', (d) => h('code', {}, short(d.bundle))]], all, 'There are none.')));
    }, signal)];
  },

  replicas(signal) {
    if (!setup.sources.replicas) return ['Replicas', state('Replicas are not asked for here.')];
    return ['Replicas', polled('/replicas', 3000, (r) => h('div', {},
      h('section', { class: 'card' }, h('h2', {}, `Scorers of ${r.group}: ${r.state.toLowerCase()}`), table(null, [['member', (m) => m.name], ['host', (m) => m.host], ['partitions', (m) => m.partitions.join(', ') || 'none'],
        ['bundle', (m) => bundleName(m.bundle)], ['digest', (m) => h('code', {}, short(m.bundle && m.bundle.digest))]], r.members, 'Nobody scores.')),
      h('section', { class: 'card' }, h('h2', {}, 'Partitions'), table(null, [['partition', (p) => p.partition, 'number'], ['not answered yet', (p) => format(p.behind), 'number'],
        ['scorer', (p) => r.members.find((m) => m.partitions.includes(p.partition))?.name || badge('nobody', 'decline')]], r.partitions, 'The topic has none.'))), signal)];
  },

  'login-failed'() {
    return ['The login failed', h('div', { class: 'error', role: 'alert' }, h('p', {}, 'The log of the API says why.'), h('a', { class: 'button', href: '/login' }, 'Try again'))];
  },
};

function verdictTable(verdicts) {
  return table(null, [['transaction', ({ verdict: v }) => h('a', { href: '#/verdicts/' + encodeURIComponent(v.transaction_id) }, v.transaction_id)], ['decision', ({ verdict: v }) => badge(v.decision)],
    ['probability', ({ verdict: v }) => format(v.probability), 'number'], ['published', (r) => when(r.published_at)], ['bundle', ({ verdict: v }) => bundleName(v.bundle)],
    ['findings', ({ verdict: v }) => v.findings.join(', ') || '–', 'long']], verdicts, 'None match.');
}

function oneVerdict(signal, id) {
  const place = h('div', {}, state('Loading …'));
  const look = async () => {
    try {
      const { verdicts } = await ask('/verdicts/' + encodeURIComponent(id), signal);
      place.replaceChildren(...verdicts.map((r) => h('section', { class: 'card' }, h('h2', {}, badge(r.verdict.decision), ` with probability ${format(r.verdict.probability)}`),
        h('dl', {}, ...[['Margin', r.verdict.margin], ['Bundle', bundleName(r.verdict.bundle)], ['Digest', r.verdict.bundle.digest], ['Findings', r.verdict.findings.join(', ') || 'none'], ['Event time', when(r.verdict.event_time)],
          ['Transaction stands at', `${r.verdict.source.topic}, partition ${r.verdict.source.partition}, offset ${r.verdict.source.offset}`], ['Verdict stands at', `${r.topic}, partition ${r.partition}, offset ${r.offset}`], ['Published', when(r.published_at)]]
          .flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, String(value))])),
        h('details', {}, h('summary', {}, 'As it was published'), h('pre', {}, JSON.stringify(r.verdict, null, 1))))));
    } catch (err) {
      if (signal.aborted) return;
      if (err.status === 404) place.replaceChildren(state('The audit has no verdict of this transaction. One that was just decided is there within a second.'), h('p', { class: 'state' }, h('button', { class: 'plain', onclick: look }, 'Look again')));
      else place.replaceChildren(failure(err, look));
    }
  };
  if (!setup.sources.verdict) return ['Verdict', state('The audit is not read here: set API_DATABASE_URL.')];
  look();
  return [`Transaction ${id}`, h('p', {}, h('a', { href: '#/verdicts' }, 'All verdicts')), place];
}

// ---- the frame

let setup = { sources: {} }, current = null;

async function learn() {
  setup = await ask('/page');
  const banner = document.getElementById('banner'), who = document.getElementById('who');
  banner.hidden = setup.auth !== 'off';
  banner.textContent = 'API_AUTH=off: everybody who reaches this address may use all of it.';
  document.getElementById('version').textContent = 'mlmonitor ' + setup.program_version;
  who.replaceChildren();
  if (setup.auth === 'off') return;
  if (setup.who) {
    who.append(setup.who, ' ');
    if (setup.login) who.append(h('button', { class: 'plain', onclick: async () => { await fetch('/logout', { method: 'POST' }); await learn(); show(); } }, 'Log out'));
  } else if (setup.login) who.append(h('a', { class: 'button', href: '/login' }, 'Log in'));
}

function show() {
  current?.abort();
  current = new AbortController();
  const [name, ...rest] = location.hash.split('?')[0].replace(/^#\/?/, '').split('/');
  const view = Object.hasOwn(views, name || 'overview') ? name || 'overview' : null;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.view === view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  let title = 'There is no such page', parts = [state('There is no such page.')];
  if (view && view !== 'overview' && view !== 'login-failed' && !setup.may) [title, parts] = [view, [denied(setup.who ? 403 : 401)]];
  else if (view) [title, ...parts] = views[view](current.signal, ...rest);
  document.title = title + ' · ML-Monitor';
  main.replaceChildren(h('h1', {}, title), ...parts.filter(Boolean));
}

async function start() {
  try {
    await learn();
    show();
  } catch (err) {
    main.replaceChildren(failure(err, start));
  }
}

addEventListener('hashchange', () => { show(); main.focus({ preventScroll: true }); });
start();
