package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// browser is a headless Chromium, driven over its DevTools protocol: messages
// in JSON with a NUL behind each, on two pipes.
type browser struct {
	t       *testing.T
	out     io.Writer
	in      *bufio.Reader
	session string
	id      int
	// problems are errors on the console and in the log; requests are the
	// addresses that the page asked for.
	problems, requests []string
}

type devtoolsMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("Chromium is not installed, and this run has to have it")
	}
	t.Skip("Chromium is not installed")
	return ""
}

// startBrowser opens an empty page.
func startBrowser(t *testing.T) *browser {
	path := chromium(t)
	if runtime.GOOS == "windows" {
		t.Skip("pipes cannot be handed to a program on Windows")
	}
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromRead, fromWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "hivemend-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toRead, fromWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	fromWrite.Close()
	b := &browser{t: t, out: toWrite, in: bufio.NewReader(fromRead)}
	t.Cleanup(func() {
		toWrite.Close()
		fromRead.Close()
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		os.RemoveAll(profile)
	})
	b.attach()
	return b
}

// attach makes a page and asks to be told of what happens in it.
func (b *browser) attach() {
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
}

// call sends a command and waits for its answer; result may be nil.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.id++
	id := b.id
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m := b.read()
		if m.ID != id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// read takes one message and keeps what the tests ask about.
func (b *browser) read() devtoolsMessage {
	b.t.Helper()
	text, err := b.in.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("Chromium ended: %v", err)
	}
	var m devtoolsMessage
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	switch m.Method {
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
		b.problems = append(b.problems, m.Method+" "+string(m.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		if err := json.Unmarshal(m.Params, &p); err != nil {
			b.t.Fatal(err)
		}
		b.requests = append(b.requests, p.Request.URL)
	}
	return m
}

// open loads a file and waits until it is there.
func (b *browser) open(file string) {
	b.t.Helper()
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	b.problems, b.requests = nil, nil
	b.call("Page.navigate", map[string]any{"url": address}, nil)
	for b.read().Method != "Page.loadEventFired" {
	}
	if !slices.Equal(b.requests, []string{address}) {
		b.t.Errorf("the page asked for %q", b.requests)
	}
}

// eval returns what an expression gives in the page.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// show sets the width of the window and the colours that the reader prefers.
func (b *browser) show(width int, scheme string) {
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// contrast computes, as WCAG 2.1 defines it, the least contrast between the
// text of an element and what lies behind it.
const contrast = `(() => {
  const rgb = c => c.match(/[\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] !== 0) return c; } return "rgb(255,255,255)"; };
  let worst = [99, ""];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(getComputedStyle(e).color), b = light(behind(e)), c = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (c < worst[0]) worst = [c, e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40)];
  }
  return worst;
})()`

// TestPageInABrowser looks at the page as a reader does: its content is there,
// it needs nothing from outside, it fits three widths in light and dark, its
// text can be read, and its boxes can be ticked without a script of its own.
func TestPageInABrowser(t *testing.T) {
	b := startBrowser(t)
	r := everything(t)
	diff := "--- a/SYSTEM.reg\n+++ b/SYSTEM.reg\n@@ -1,2 +1,1 @@\n [key]\n-\"x\"=hex:" + strings.Repeat("00,", 60) + "\n+\"y\"=\"z\"\n"
	page, _ := pageText(t, r, HTMLOptions{Diffs: map[string]string{r.Machines[0].ID: diff}})
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(file)
	var text string
	b.eval("document.body.textContent", &text)
	for _, m := range r.Machines {
		for _, f := range m.Findings {
			if !strings.Contains(text, f.Message) {
				t.Errorf("the page does not show %q", f.Message)
			}
		}
		for _, in := range m.Inputs {
			if !strings.Contains(text, in.SHA256) {
				t.Errorf("the page does not show the hash of %s", in.Path)
			}
		}
	}
	for _, width := range []int{360, 800, 1400} {
		for _, scheme := range []string{"light", "dark"} {
			b.show(width, scheme)
			b.checkLayout(fmt.Sprintf("%d pixels, %s", width, scheme), width)
		}
	}
	var ticked bool
	b.eval(`(() => { const box = document.querySelector(".steps label"); box.click(); return box.querySelector("input").checked; })()`, &ticked)
	if !ticked {
		t.Error("a box of the checklist cannot be ticked")
	}
	var broken []string
	b.eval(`[...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute("href").slice(1)).filter(id => !document.getElementById(id))`, &broken)
	if len(broken) > 0 {
		t.Errorf("links lead nowhere: %q", broken)
	}
	var twice int
	b.eval(`(() => { const ids = [...document.querySelectorAll("[id]")].map(e => e.id); return ids.length - new Set(ids).size; })()`, &twice)
	if twice != 0 {
		t.Errorf("%d ids stand twice", twice)
	}
	if len(b.problems) > 0 {
		t.Errorf("the console says %s", strings.Join(b.problems, "\n"))
	}
	if len(b.requests) != 1 {
		t.Errorf("the page asked for %q", b.requests)
	}
}

// checkLayout looks for what does not fit the width and for text that can
// hardly be read, with everything opened.
func (b *browser) checkLayout(how string, width int) {
	b.t.Helper()
	var ignored int
	b.eval(`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return 0; })()`, &ignored)
	var wide int
	b.eval("document.documentElement.scrollWidth", &wide)
	if wide > width {
		b.t.Errorf("%s: the page is %d pixels wide", how, wide)
	}
	var worst []any
	b.eval(contrast, &worst)
	if worst[0].(float64) < 4.5 {
		b.t.Errorf("%s: contrast %.2f at %v", how, worst[0], worst[1])
	}
}
