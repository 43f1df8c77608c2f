package web_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var keepScreenshots = flag.String("screenshots", "", "directory for pictures of the page at four widths in both themes; page.png is made anew, too")

// TestScreenshot makes the picture of the README, and checks that the one that is
// there is not too heavy.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	const path, limit = "page.png", 200_000
	if *keepScreenshots != "" {
		takeScreenshots(t, *keepScreenshots)
		makeSmall(t, filepath.Join(*keepScreenshots, "1440-light.png"), path)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > limit {
		t.Error("it is made by: go test ./web -run TestScreenshot -screenshots DIR", err)
	}
}

func takeScreenshots(t *testing.T, dir string) {
	s := startService(t, func(s *service) { s.heartbeat = 3 * time.Second })
	for _, line := range []string{
		`{"level":"info","time":"2026-11-21T18:00:00Z","stream":"tick","client":"127.0.0.1","message":"stream opened"}`,
		`{"level":"warn","time":"2026-11-21T18:00:02Z","message":"the disk is nearly full","free":"2 GB"}`,
		"plain ERROR cannot reach db-3",
		`{"level":"info","time":"2026-11-21T18:00:04Z","message":"request","method":"GET","path":"/stream/log","status":200,"ms":1.25}`,
	} {
		s.writeLog(line)
	}
	p := startBrowser(t).open(s)
	p.until(all("open"))
	p.publish("news", `{"msg":"hello"}`)
	p.until(`document.querySelectorAll(".events .data").length === 1`)
	p.click("channel", "cut")
	p.until(state("channel", "reconnecting"))
	for i := range 3 {
		s.publish("chat", fmt.Sprintf(`{"msg":"sent while the page was away","n":%d}`, i+1))
	}
	p.until(`document.querySelectorAll(".events .data").length === 4 && ` + state("channel", "open"))
	s.publish("news", `"and on it goes"`)
	p.click("tick", "cut")
	p.do(chromedp.SetValue(chromedp.CSS(`[name="durationMs"]`), "12000"))
	p.click("progress", "start-job")
	p.until(`document.querySelector("progress").value >= 40 && ` + all("open"))
	for _, width := range []int64{1440, 1024, 768, 390} {
		if width < 860 { // the wire begins closed there
			p.eval(`document.querySelectorAll("details.wire").forEach((e) => (e.open = false))`)
		}
		for _, theme := range []string{"light", "dark"} {
			p.screenshot(filepath.Join(dir, fmt.Sprintf("%d-%s.png", width, theme)), width, theme)
		}
	}
}

// makeSmall writes the upper part of a picture with its 256 most frequent colours.
func makeSmall(t *testing.T, from, to string) {
	const height = 1220
	file, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	bounds := image.Rect(0, 0, picture.Bounds().Dx(), height)
	counts := make(map[color.Color]int)
	for y := range height {
		for x := range bounds.Dx() {
			counts[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	small := image.NewPaletted(bounds, colours[:min(256, len(colours))])
	draw.Draw(small, bounds, picture, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// look sets the width of the page in pixels and its theme.
func (p *tab) look(width int64, theme string) {
	p.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 1100, DeviceScaleFactor: 1, Mobile: width < 500})
	p.prefer("prefers-color-scheme", theme)
	p.until(`document.querySelector(".chart").viewBox.baseVal.width === document.querySelector(".chart").getBoundingClientRect().width`) // drawn anew
}

// prefer sets what the reader prefers, as a media feature.
func (p *tab) prefer(feature, value string) {
	p.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}})
}

func (p *tab) screenshot(path string, width int64, theme string) {
	p.Helper()
	p.look(width, theme)
	if err := os.WriteFile(path, run(p, chromedp.FullScreenshot(100)), 0o600); err != nil {
		p.Fatal(err)
	}
}
