package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/zwsbridge/zwsbridge/zws/js"
)

// staticFiles serves a folder, and nothing outside of it, whatever links it holds. Names
// that begin with a dot are not there. The browser's client is served too, unless the
// folder has files of these names; without a folder it is all there is.
func staticFiles(folder string) (http.Handler, error) {
	if folder == "" {
		return js.Handler, nil
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("server.static: %w", err)
	}
	files := withoutDotfiles{root.FS()}
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if js.Serves(r.URL.Path) {
			if _, err := fs.Stat(files, strings.TrimPrefix(r.URL.Path, "/")); err != nil {
				js.Handler.ServeHTTP(w, r)
				return
			}
		}
		server.ServeHTTP(w, r)
	}), nil
}

// withoutDotfiles hides what is not to be served: files and folders whose name begins with
// a dot, folders without an index.html, and links that lead out.
type withoutDotfiles struct{ fs.FS }

// Open implements fs.FS.
func (f withoutDotfiles) Open(name string) (fs.File, error) {
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") && element != "." {
			return nil, notThere(name)
		}
	}
	file, err := f.FS.Open(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, notThere(name)
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		if _, err := fs.Stat(f.FS, path.Join(name, "index.html")); err != nil {
			_ = file.Close()
			return nil, notThere(name)
		}
	}
	return noListing{file}, nil
}

func notThere(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// noListing is a file that, if it is a folder, does not list what it holds: an index.html
// is served, and nothing else is given away.
type noListing struct{ fs.File }

// ReadDir implements fs.ReadDirFile.
func (noListing) ReadDir(int) ([]fs.DirEntry, error) { return nil, fs.ErrPermission }

// serveFile answers a request that is no WebSocket handshake.
func (s *state) serveFile(w http.ResponseWriter, r *http.Request, isRoute bool) {
	switch {
	case isRoute:
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a ZeroMQ route: connect by WebSocket", http.StatusUpgradeRequired)
	case s.static == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "files are here to be read: want GET or HEAD", http.StatusMethodNotAllowed)
	default:
		s.static.ServeHTTP(w, r)
	}
}
