// Command short compares the working tree with another commit, in about five minutes on
// two cores: it builds both, measures them alternately beside libzmq's proxy, and prints
// medians, spreads and ratios.
//
//	make bench-short COMMIT=HEAD~3      in the root of the repository
//
// Both binaries are driven over the network with the same configuration, so the two commits
// may differ in their packages as they like.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

type options struct {
	commit   string
	rounds   int
	duration time.Duration
	idle     int
	only     *regexp.Regexp
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.commit, "commit", "", "the commit to compare with, as git names it; required")
	flag.IntVar(&o.rounds, "rounds", 5, "how often the two alternate")
	flag.DurationVar(&o.duration, "time", 600*time.Millisecond, "duration of one measurement")
	flag.IntVar(&o.idle, "idle", 2000, "number of idle connections")
	only := flag.String("only", "", "regular expression: which measurements, by their names in the table")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	if o.commit == "" || flag.NArg() > 0 {
		log.Print("usage: make bench-short COMMIT=REVISION (or go run ./short -commit REVISION)")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	begin := time.Now()
	dir, err := os.MkdirTemp("", "zwsbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	newer, older := filepath.Join(dir, "new"), filepath.Join(dir, "old")
	if err := load.Build(load.Root(), newer); err != nil {
		return err
	}
	name, err := buildCommit(o.commit, dir, older)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %d-byte messages, medians of %d (smallest-largest)\nold: %s\nnew: the working tree\n",
		runtime.Version(), runtime.NumCPU(), load.MessageSize, o.rounds, name)
	fmt.Printf("built in %v\n\n", time.Since(begin).Round(time.Second))
	r := newReport()
	for _, m := range measurements(o) {
		if !o.only.MatchString(m.name) {
			continue
		}
		if err := m.alternate(newer, older, o, r); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	r.print(os.Stdout)
	fmt.Printf("\n%v in all\n", time.Since(begin).Round(time.Second))
	return nil
}

// buildCommit builds commit in a git worktree below dir, which it removes again, and returns
// the commit's abbreviated hash and subject.
func buildCommit(commit, dir, binary string) (name string, err error) {
	tree := filepath.Join(dir, "tree")
	if _, err := git("worktree", "add", "--quiet", "--detach", tree, commit); err != nil {
		return "", err
	}
	// An interrupt must not leave the worktree behind: git would keep a record of it.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer func() {
		signal.Stop(interrupts)
		_, removing := git("worktree", "remove", "--force", tree)
		err = errors.Join(err, removing)
		select {
		case s := <-interrupts:
			err = errors.Join(err, fmt.Errorf("stopped by %v", s))
		default:
		}
	}()
	if err := load.Build(tree, binary); err != nil {
		return "", err
	}
	return git("log", "-1", "--format=%h %s", commit)
}

func git(args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = load.Root()
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
