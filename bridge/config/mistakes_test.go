package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

var update = flag.Bool("update", false, "write testdata/mistakes.txt")

// mistakesDir returns configDir with more files that operators name by mistake.
func mistakesDir(t *testing.T) string {
	t.Helper()
	dir := configDir(t)
	if _, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: filepath.Join(dir, "other")}); err != nil {
		t.Fatal(err)
	}
	copied := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	cert, key := expiredPair(t)
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"readable.key", copied("certs/portal.key"), 0o644},
		{"expired.crt", cert, 0o644},
		{"expired.key", key, 0o600},
		{"plaintext.htpasswd", "ann:not-a-hash\n", 0o600},
		{"keys/notes.txt", "hello", 0o644},
		{"short_secret", "metadata\ncurve\n    public-key = \"abc\"\n    secret-key = \"def\"\n", 0o600},
		{"public", copied("certs/server"), 0o644},
	} {
		file := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expiredPair returns a certificate that was valid until the end of 2020, and its key.
func expiredPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2020, 12, 31, 12, 0, 0, 0, time.UTC), DNSNames: []string{"bridge.lan"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

// whole adds a route and a login to a configuration that has none, below its own lines.
func whole(text string) string {
	if !strings.Contains(text, "route]") {
		text += "[[route]]\npath = \"/devices\"\nsocket = \"SUB\"\nconnect = [\"tcp://127.0.0.1:5556\"]\nallow = \"all\"\n"
	}
	if !strings.Contains(text, "[auth.users]") {
		text += "[auth.users]\ntype = \"htpasswd\"\nfile = \"certs/users\"\n"
	}
	if !strings.Contains(text, "chain = ") {
		text += "[zap]\nchain = [{ authn = \"users\" }]\n"
	}
	return text
}

// cure matches what a fault says about what to do. Warnings need none: the value may be meant.
var cure = regexp.MustCompile(`want |did you mean |allowed here are |needs? |create |set it |missing: |has to stand |must |only, or |expected a comma `)

// knownKeys matches the list of the keys of a table: a new key must not change the records.
var knownKeys = regexp.MustCompile(`(allowed here are )[a-z_]+(, [a-z_]+)+`)

// TestMistakes checks what operators read who make a mistake. Each record of the file is a
// configuration, to which whole is applied, and the lines that check prints. Every fault must name
// its line and what would be right.
func TestMistakes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("modes of files and texts of errors are those of Linux")
	}
	const file = "testdata/mistakes.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := mistakesDir(t)
	records := strings.Split(strings.TrimPrefix(string(text), "===\n"), "\n===\n")
	var all strings.Builder
	for _, record := range records {
		config, want, _ := strings.Cut(record, "\n> ")
		config = strings.TrimRight(config, "\n")
		_, faults := load(dir, whole(config+"\n"))
		var got []string
		for _, f := range faults {
			line := knownKeys.ReplaceAllString(f.String(), "${1}…")
			got = append(got, "> "+strings.ReplaceAll(line, dir, "DIR"))
			switch {
			case f.Line == 0:
				t.Errorf("no line: %v", f)
			case !f.Warning && !cure.MatchString(f.Text):
				t.Errorf("no cure: %v", f)
			}
		}
		if len(faults) == 0 {
			t.Errorf("no fault:\n%s", config)
		}
		lines := strings.Join(got, "\n")
		if lines != "> "+strings.TrimSuffix(want, "\n") && !*update {
			t.Errorf("%s\n\ngot\n%s\nwant\n> %s", config, lines, want)
		}
		fmt.Fprintf(&all, "===\n%s\n%s\n", config, lines)
	}
	if *update {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(records) < 60 {
		t.Errorf("%d mistakes, want at least 60", len(records))
	}
}

// TestEncodings checks what is said about files that are not TOML in UTF-8, and that a byte order
// mark and CRLF do not matter, not even for the numbers of lines.
func TestEncodings(t *testing.T) {
	dir := configDir(t)
	for _, tt := range []struct{ text, want string }{
		{"\ufeff[server]\nlisten = \"x\"\n", `F:2: server.listen: is "x": want host:port like "127.0.0.1:8443"`},
		{"[server]\r\nlisten = \"127.0.0.1:1\"\r\ntls = \"of\"\r\n", `F:3: server.tls: is "of": want "self-signed", "files", "acme" or "off"`},
		{"[server]\rtls = \"off\"\r", `F:1: server: TOML files cannot contain control characters: '0x0d': want lines that end with LF or CRLF`},
		{"\xff\xfe[\x00s\x00", `F:1: files cannot contain NULL bytes; probably using UTF-16; TOML files must be UTF-8`},
		{"[server]\n# caf\xe9\n", `F:2: server: invalid UTF-8 byte: 0xe9: want a file in UTF-8`},
		{"[server]\ncert = \"caf\xe9\"\n", `F:2: server.cert: invalid UTF-8 byte: 0xe9: want a file in UTF-8`},
		{"\x7fELF\x02\x01\x01", `F:1: TOML files cannot contain control characters: '0x7f'`},
	} {
		_, faults := load(dir, tt.text)
		if text := fmt.Sprint(faults); !strings.Contains(text, tt.want) {
			t.Errorf("%q: %s, want %s", tt.text, text, tt.want)
		}
	}
}
