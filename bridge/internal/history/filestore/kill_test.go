package filestore

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// writeUntilKilled is the process that TestKill kills. It publishes numbered messages to the log in
// dir, and prints the number of each once it could be delivered.
func writeUntilKilled(dir string) {
	o := Options{SegmentBytes: 8 << 10}
	if os.Getenv("ZWSBRIDGE_HISTORY_SYNC") != "" {
		o.Sync = time.Millisecond
	}
	l, err := tryLog(dir, history.Options{MaxBytes: killBytes, LastValues: true}, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	number := l.Stats().End.Sequence // higher than every number before
	out := bufio.NewWriter(os.Stdout)
	for {
		read := 1 + rand.IntN(20)
		var printed []byte
		for range read {
			number++
			topic := fmt.Sprintf("often/%d", number%7)
			if number%97 == 0 {
				topic = rareTopic(number) // outlives its segment
			}
			after, _ := l.Append(zmtp.Message{[]byte(topic), []byte(strconv.FormatUint(number, 10))})
			printed = binary.BigEndian.AppendUint64(printed, number)
			printed = binary.BigEndian.AppendUint64(printed, after.Generation)
			printed = binary.BigEndian.AppendUint64(printed, after.Sequence)
		}
		if err := l.Flush(); err != nil {
			os.Exit(1)
		}
		out.Write(printed)
		if out.Flush() != nil {
			os.Exit(1)
		}
	}
}

const killBytes = 200 << 10

// rareTopic returns one of as many topics as have room for their last values.
func rareTopic(number uint64) string { return fmt.Sprintf("rarely/%d", number%200) }

// delivered is a message that a process has printed.
type delivered struct {
	number uint64
	after  history.Position
}

// killed runs the process, kills it, and returns what it has printed.
func killed(t *testing.T, dir, sync string) (all []delivered) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "ZWSBRIDGE_HISTORY_WRITER="+dir, "ZWSBRIDGE_HISTORY_SYNC="+sync)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	for n := 1 + rand.IntN(3000); ; n-- {
		var b [24]byte
		if _, err := io.ReadFull(out, b[:]); err != nil {
			break
		}
		if n == 0 {
			cmd.Process.Kill() // what is in the pipe was delivered as well
		}
		all = append(all, delivered{binary.BigEndian.Uint64(b[:]),
			history.Position{Generation: binary.BigEndian.Uint64(b[8:]), Sequence: binary.BigEndian.Uint64(b[16:])}})
	}
	if errors.Len() > 0 || len(all) == 0 {
		t.Fatalf("%d messages: %s", len(all), errors.String())
	}
	return all
}

func killLoop(t *testing.T, loops int) {
	for _, sync := range []string{"", "1ms"} {
		t.Run("sync="+sync, func(t *testing.T) {
			dir := t.TempDir()
			rarely := map[string]uint64{}
			for range loops {
				all := killed(t, dir, sync)
				for _, d := range all {
					if d.number%97 == 0 {
						rarely[rareTopic(d.number)] = d.number
					}
				}
				checkKilled(t, dir, all, rarely)
			}
		})
	}
}

// checkKilled checks that everything that was delivered is stored, and nothing else except a batch
// at the end.
func checkKilled(t *testing.T, dir string, all []delivered, rarely map[string]uint64) {
	t.Helper()
	l := openLog(t, dir, history.Options{MaxBytes: killBytes, LastValues: true}, Options{SegmentBytes: 8 << 10})
	defer l.Close()
	first := l.Stats().First.Sequence
	for len(all) > 1 && all[0].after.Sequence < first {
		all = all[1:]
	}
	middle := all[rand.IntN(len(all))]
	got, answer := resume(l, middle.after)
	if !answer.Recovered || !answer.Gap {
		t.Fatalf("%+v", answer)
	}
	next := middle.number + 1
	for _, line := range got {
		_, number, _ := strings.Cut(line, " ")
		if number != strconv.FormatUint(next, 10) {
			t.Fatalf("got %q, want number %d", line, next)
		}
		next++
	}
	if newest := all[len(all)-1].number; next <= newest {
		t.Fatalf("%d is the last that is stored, %d was delivered", next-1, newest)
	}
	values := map[string]string{}
	for _, line := range last(l) {
		topic, number, _ := strings.Cut(line, " ")
		values[topic] = number
	}
	for topic, number := range rarely {
		// A later one may have been stored and not delivered.
		if kept, err := strconv.ParseUint(values[topic], 10, 64); err != nil || kept < number {
			t.Fatalf("the last value of %s is %q, want %d (%d values)", topic, values[topic], number, len(values))
		}
	}
}

// TestKill kills a process that writes, again and again.
func TestKill(t *testing.T) { killLoop(t, 10) }

// TestKillSoak is TestKill for longer. It runs only with ZWSBRIDGE_SOAK=1.
func TestKillSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("takes long; run `make soak`")
	}
	killLoop(t, 100)
}
