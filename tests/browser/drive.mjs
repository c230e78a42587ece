// Drives one Chromium for tests/src/browser.rs: a JSON request a line on standard input, a JSON
// answer a line on standard output ({id, ok} or {id, error}), the pages' console on standard
// error. Ends, and Chromium with it, when its input does.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const EXECUTABLE = '/usr/bin/chromium'

const FLAGS = [
  '--no-sandbox', // tests run as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-crash-restore-bubble',
  // The teacher's page goes on working behind the window that it shares.
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling',
  // The screen is shared without a person's click. The switches for fake media would do that too,
  // with a fake picture in its place.
  '--auto-select-desktop-capture-source=Entire screen',
  '--autoplay-policy=no-user-gesture-required',
  '--window-position=0,0',
  '--window-size=1280,720',
]

let context
const pages = new Map()

const commands = {
  async launch({ profile, locale }) {
    await offerNothing(profile)
    context = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      headless: false,
      viewport: null,
      locale,
      acceptDownloads: true,
      args: FLAGS,
    })
    await context.grantPermissions(['microphone'])
    adopt('main', context.pages()[0] ?? (await context.newPage()))
  },

  async open({ page: name, url, window }) {
    // Only the protocol below Playwright knows of windows.
    const session = await context.newCDPSession(pages.get('main'))
    const opened = context.waitForEvent('page')
    await session.send('Target.createTarget', { url: 'about:blank', newWindow: window })
    const page = adopt(name, await opened)
    await page.goto(url)
  },

  async goto({ page, url }) {
    await page.goto(url)
  },

  async click_through({ page, url, timeout_ms }) {
    const warned = await page.goto(url).then(
      () => false,
      (error) => {
        if (!String(error).includes('ERR_CERT_')) throw error
        return true
      },
    )
    if (!warned) throw new Error(`no warning stood before ${url}`)
    await page.click('#details-button', { timeout: timeout_ms })
    await page.click('#proceed-link', { timeout: timeout_ms })
    await page.waitForURL(url, { timeout: timeout_ms })
  },

  async reload({ page }) {
    await page.reload()
  },

  async click({ page, by, timeout_ms }) {
    await locate(page, by).click({ timeout: timeout_ms })
  },

  async hover({ page, by, timeout_ms }) {
    await locate(page, by).hover({ timeout: timeout_ms })
  },

  async fill({ page, by, text, timeout_ms }) {
    await locate(page, by).fill(text, { timeout: timeout_ms })
  },

  async press({ page, key }) {
    await page.keyboard.press(key)
  },

  async choose_files({ page, by, files, timeout_ms }) {
    // Not put into the field from behind: pages hide it, and show a button of their own.
    const asked = page.waitForEvent('filechooser', { timeout: timeout_ms })
    const [chooser] = await Promise.all([asked, locate(page, by).click({ timeout: timeout_ms })])
    await chooser.setFiles(files)
  },

  async download({ page, by, path, timeout_ms }) {
    const started = page.waitForEvent('download', { timeout: timeout_ms })
    const [download] = await Promise.all([started, locate(page, by).click({ timeout: timeout_ms })])
    await download.saveAs(path)
  },

  async wait_for({ page, by, state, timeout_ms }) {
    await locate(page, by).first().waitFor({ state, timeout: timeout_ms })
  },

  async text({ page, by, timeout_ms }) {
    return locate(page, by).innerText({ timeout: timeout_ms })
  },

  async count({ page, by }) {
    return locate(page, by).count()
  },

  async url({ page }) {
    return page.url()
  },

  async eval({ page, script, arg }) {
    // Put together here: the box's pages let no text be made into a function in them.
    const body = /\breturn\b/.test(script) ? script : `return (${script})`
    return page.evaluate(`(async (arg) => { ${body}\n })(${JSON.stringify(arg)})`)
  },

  async screenshot({ page, path }) {
    await page.screenshot({ path })
  },

  async resize({ page, width, height }) {
    // It lasts as long as its session: this one, until the page goes.
    const session = await context.newCDPSession(page)
    const screen = { width, height, deviceScaleFactor: 0, mobile: false }
    await session.send('Emulation.setDeviceMetricsOverride', screen)
  },

  async fullscreen({ page }) {
    await setBounds(page, { windowState: 'fullscreen' })
    await page.waitForFunction(() => innerHeight === outerHeight)
  },

  async raise({ page }) {
    await page.bringToFront()
  },

  async close({ page }) {
    await page.close()
  },
}

function adopt(name, page) {
  pages.set(name, page)
  page.on('console', (message) => console.error(`${name} ${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => console.error(`${name} uncaught: ${error.stack ?? error}`))
  page.on('crash', () => console.error(`${name} crashed`))
  page.on('close', () => pages.delete(name))
  return page
}

function locate(page, by) {
  if (by.role) return page.getByRole(by.role, { name: by.name })
  if (by.label) return page.getByLabel(by.label)
  if (by.text) return page.getByText(by.text)
  return page.locator(by.css)
}

async function setBounds(page, bounds) {
  const session = await context.newCDPSession(page)
  const { windowId } = await session.send('Browser.getWindowForTarget')
  await session.send('Browser.setWindowBounds', { windowId, bounds })
}

async function answer({ id, do: name, ...request }) {
  try {
    const isOnPage = request.page !== undefined && name !== 'open'
    const page = isOnPage ? pages.get(request.page) : request.page
    if (isOnPage && page === undefined) throw new Error(`there is no page ${request.page}`)
    return { id, ok: (await commands[name]({ ...request, page })) ?? null }
  } catch (error) {
    return { id, error: error.message }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  // Not awaited: a request may wait for what a later one brings about.
  answer(JSON.parse(line)).then((reply) => console.log(JSON.stringify(reply)))
}
await context?.close()

/** A browser that asks whether it may keep a password covers the screen that is shared. */
async function offerNothing(profile) {
  await mkdir(join(profile, 'Default'), { recursive: true })
  const preferences = { credentials_enable_service: false }
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences))
}
