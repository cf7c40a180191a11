// Opens pages in a real browser, at several sizes and in both themes, and has axe-core look at each; then prints each.
// node look.js CHROMIUM FOLDER-OF-MODULES FOLDER-FOR-PICTURES PAGE...
const fs = require('fs');
const path = require('path');
const [chromium, modules, pictures, ...pages] = process.argv.slice(2);
const puppeteer = require(path.join(modules, 'puppeteer-core'));
const axe = fs.readFileSync(require.resolve(path.join(modules, 'axe-core/axe.min.js')), 'utf8');

// What lies between the margins of a sheet of A4, in CSS pixels.
const SHEET = { width: 688, height: 1001 };

// Somebody who reads in the dark prints it: on white, with nothing folded away, nothing beside the sheet and no chart on two of them.
async function print(browser, file) {
  const page = await browser.newPage();
  page.setDefaultTimeout(180000);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await page.setViewport(SHEET);
  await page.goto('file://' + file, { waitUntil: 'load' });
  const onScreen = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMediaType('print');
  const found = await page.evaluate(() => {
    const style = (one) => getComputedStyle(one);
    const all = (what) => Array.from(document.querySelectorAll(what));
    const kept = (one) => one && one !== document.body && (style(one).breakInside === 'avoid' || kept(one.parentElement));
    const words = (one) => (one.getAttribute('aria-label') || one.textContent).slice(0, 60);
    return {
      paper: style(document.body).backgroundColor,
      ink: style(document.body).color,
      charts: all('svg').length,
      cut: all('svg').filter((one) => !kept(one)).map(words),
      beside: all('svg, table, p').filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1).map(words),
      folded: all('details table').filter((one) => one.getBoundingClientRect().height === 0).map(words),
      tables: all('details table').length,
    };
  });
  const sheets = Buffer.from(await page.pdf({ preferCSSPageSize: true, printBackground: true, timeout: 180000 })).toString('latin1');
  await page.close();
  return { name: path.basename(file, '.html'), onScreen, ...found, pages: (sheets.match(/\/Type\s*\/Page\b/g) || []).length };
}

(async () => {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none'],
    // Other tests share the machine.
    timeout: 180000,
    protocolTimeout: 600000,
  });
  const found = [];
  for (const file of pages) {
    for (const theme of ['light', 'dark']) {
      for (const width of [360, 820, 1280]) {
        const page = await browser.newPage();
        page.setDefaultTimeout(180000);
        const said = [];
        page.on('console', (message) => said.push(message.text()));
        page.on('pageerror', (error) => said.push(String(error)));
        page.on('request', (request) => { if (!request.url().startsWith('file:')) said.push(`asks for ${request.url()}`); });
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
        await page.setViewport({ width, height: 900 });
        await page.goto('file://' + file, { waitUntil: 'load' });
        await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        // By the debugger's own door: the page itself may run nothing, and must not.
        await page.evaluate(axe);
        const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        const violations = result.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html).join(' ')}`);
        await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = false; }));
        const name = `${path.basename(file, '.html')}-${theme}-${width}`;
        if (pictures !== '-') {
          await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
        }
        // Every one that can be reached by the keyboard is reached.
        const reached = new Set();
        for (let step = 0; step < 12; step += 1) {
          await page.keyboard.press('Tab');
          reached.add(await page.evaluate(() => document.activeElement.outerHTML.slice(0, 80)));
        }
        found.push({ name, said, wider, violations, reached: reached.size });
        await page.close();
      }
    }
  }
  const printed = [];
  for (const file of pages) {
    printed.push(await print(browser, file));
  }
  await browser.close();
  console.log(JSON.stringify({ found, printed }));
})().catch((error) => { console.error(error); process.exit(1); });
