package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// pageClient is a client in a page: its name, what page.js calls it, and its server.
type pageClient struct {
	name, client string
	peer         *load.Peer
}

func pageClients(o options, pages string) []pageClient {
	bridge := load.PageBridge(o.zwsbridge, pages)
	foreign := make(map[string]*load.Peer)
	for _, p := range fanoutPeers(o) {
		foreign[p.Name] = p
	}
	return []pageClient{
		{"plain WebSocket, counting", "plain", bridge},
		{"zws.js Sub", "zws", bridge},
		{"zws.js Sub, on('message')", "handler", bridge},
		{"zws.js Sub, ZWS 2.0", "zws2", bridge},
		{"zws.js Mux, 4 Subs", "mux", bridge},
		{"ZWSJSON1.0, batched", "json", bridge},
		{"jszmq", "jszmq", bridge},
		{"nats-core", "nats", foreign["nats-server"]},
		{"centrifuge-js", "centrifuge", foreign["centrifuge"]},
	}
}

// driver is a running browser/driver.mjs.
type driver struct {
	counts bool // whether the browser counts the time of the main thread
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
}

// page is what the driver answers.
type page struct {
	Error          string
	Took           float64 // ms
	Requests, Size int     // of what the page has loaded; bytes with gzip
	Received       int
	Seconds        float64
	Task, Thread   float64   // seconds of processor time of the main thread: in tasks, in all
	Tasks          []float64 // ms, of those above 50
	Late           float64   // ms by which a timer was late at most
}

func script() string { return filepath.Join(load.Root(), "bridge", "bench", "browser", "driver.mjs") }

func startDriver(browser, executable string) (*driver, error) {
	d := &driver{counts: browser == "chromium", cmd: exec.Command("node", script(), browser, executable)}
	d.cmd.Stderr = os.Stderr
	in, err := d.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.in, d.out = in, bufio.NewScanner(out)
	d.out.Buffer(nil, 1<<20)
	return d, d.cmd.Start()
}

func (d *driver) do(command map[string]string) (page, error) {
	line, err := json.Marshal(command)
	if err != nil {
		return page{}, err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return page{}, err
	}
	if !d.out.Scan() {
		return page{}, errors.New("the browser has ended")
	}
	var p page
	if err := json.Unmarshal(d.out.Bytes(), &p); err != nil {
		return page{}, err
	}
	if p.Error != "" {
		return page{}, errors.New(p.Error)
	}
	return p, nil
}

func (d *driver) close() {
	d.in.Close()
	d.cmd.Wait()
}

// chromiumPart measures clients in a page of Chromium.
func chromiumPart(o options) error { return browserPart(o, "chromium", "chromium") }

// firefoxPart is chromiumPart for Firefox, which does not say what its main thread has used.
func firefoxPart(o options) error { return browserPart(o, "firefox", "firefox-esr") }

func browserPart(o options, browser, name string) error {
	executable, err := exec.LookPath(name)
	if err != nil {
		fmt.Printf("\n%s is not installed\n", name)
		return nil
	}
	pages, err := os.MkdirTemp("", "zwspages")
	if err != nil {
		return err
	}
	defer os.RemoveAll(pages)
	if out, err := exec.Command("node", script(), "bundle", pages).CombinedOutput(); err != nil {
		return fmt.Errorf("bundle: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	files := &http.Server{Handler: http.FileServer(http.Dir(pages))}
	defer files.Close()
	go files.Serve(l)
	d, err := startDriver(browser, executable)
	if err != nil {
		return err
	}
	defer d.close()
	browserTable(o, d, browser, "http://"+l.Addr().String()+"/", pageClients(o, pages))
	return nil
}

// browserRates are messages published per second: two floods, and what a page is well able to take.
var browserRates = []int{100_000, 200_000, 4000}

func browserTable(o options, d *driver, browser, files string, clients []pageClient) {
	columns := []string{"100,000/s", "200,000/s", "4,000/s", "tasks > 50 ms (longest)", "ready", "kB gzip"}
	title := "One page of " + browser + ": messages/s received"
	if d.counts {
		title += ", and µs of the main thread for each (with the work between tasks)"
	} else {
		columns[3] = "timer late by"
	}
	t := newTable(title, columns...)
	for _, c := range clients {
		if !o.peers.MatchString(c.name) {
			continue
		}
		row, err := browserRow(o, d, c, files)
		if err != nil {
			row = []string{"failed"}
			t.note("%s: %v", c.name, err)
		}
		row = append([]string{c.name}, row...)
		t.row(row...)
		fmt.Fprintf(os.Stderr, "%s  load %s\n", strings.Join(row, "  |  "), loadAverage())
	}
	t.print()
}

// loadAverage returns how many processes wanted to run in the last minute, or "".
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// browserRow measures one client, on a page that the bridge serves if it is the server.
func browserRow(o options, d *driver, c pageClient, files string) ([]string, error) {
	srv, err := load.StartLive(c.peer)
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	url := "ws://" + srv.Address + "/"
	switch c.client {
	case "nats", "centrifuge":
	default:
		files, url = "http://"+srv.Address+"/", url+"sub"
	}
	opened, err := d.do(map[string]string{"do": "open", "page": files, "client": c.client, "url": url})
	if err != nil {
		return nil, err
	}
	if err := untilReceived(srv, d); err != nil {
		return nil, err
	}
	var row []string
	var tasks []float64
	late := 0.0
	for _, rate := range browserRates {
		p, err := measurePage(srv, d, rate, o.duration)
		if err != nil {
			return nil, err
		}
		cell := fmt.Sprintf("%.0f", float64(p.Received)/p.Seconds)
		if n := float64(p.Received) / 1e6; d.counts && n > 0 {
			cell += fmt.Sprintf("  %.1f (%.1f)", p.Task/n, p.Thread/n)
		}
		row, tasks, late = append(row, cell), append(tasks, p.Tasks...), max(late, p.Late)
	}
	long := fmt.Sprintf("%.0f ms", late)
	if d.counts {
		long = fmt.Sprint(len(tasks))
		if len(tasks) > 0 {
			long += fmt.Sprintf(" (%.0f ms)", slices.Max(tasks))
		}
	}
	return append(row, long, fmt.Sprintf("%.0f ms, %d files", opened.Took, opened.Requests), fmt.Sprintf("%.1f", float64(opened.Size)/1000)), nil
}

// untilReceived publishes until the page has received something.
func untilReceived(srv *load.Live, d *driver) error {
	for range 100 {
		if err := srv.Publish(1000, 100*time.Millisecond); err != nil {
			return err
		}
		p, err := d.do(map[string]string{"do": "count"})
		if err != nil || p.Received > 0 {
			return err
		}
	}
	return errors.New("nothing that is published is received")
}

// drainTime is how long a page has at most for what its server has queued in a flood. What is left
// would count for the next rate.
const drainTime = 2 * time.Minute

// measurePage publishes at a rate, and counts after a warm-up of a second. It returns when the page
// has received what is still on its way then.
func measurePage(srv *load.Live, d *driver, rate int, duration time.Duration) (page, error) {
	published := make(chan error, 1)
	go func() { published <- srv.Publish(rate, duration+time.Second) }()
	time.Sleep(time.Second)
	if _, err := d.do(map[string]string{"do": "start"}); err != nil {
		return page{}, err
	}
	if err := <-published; err != nil {
		return page{}, err
	}
	p, err := d.do(map[string]string{"do": "stop"})
	if err != nil {
		return page{}, err
	}
	last := -1
	for start := time.Now(); time.Since(start) < drainTime; time.Sleep(500 * time.Millisecond) {
		now, err := d.do(map[string]string{"do": "count"})
		if err != nil || now.Received == last {
			return p, err
		}
		last = now.Received
	}
	return page{}, fmt.Errorf("after %v the page still receives what was published at %d/s", drainTime, rate)
}
