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

// staticFiles serves the files of a directory, and nothing outside of it, whatever links it
// holds. The browser's client is served too, unless the directory has files of these names;
// an empty directory name means the client only.
func staticFiles(directory string) (http.Handler, error) {
	if directory == "" {
		return js.Handler, nil
	}
	root, err := os.OpenRoot(directory)
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

// withoutDotfiles hides files and directories whose name begins with a dot, directories
// without an index.html, and links that lead out.
type withoutDotfiles struct{ fs.FS }

// Open implements fs.FS.
func (f withoutDotfiles) Open(name string) (fs.File, error) {
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") && element != "." {
			return nil, notFound(name)
		}
	}
	file, err := f.FS.Open(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, notFound(name)
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		if _, err := fs.Stat(f.FS, path.Join(name, "index.html")); err != nil {
			_ = file.Close()
			return nil, notFound(name)
		}
	}
	return noListing{file}, nil
}

func notFound(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// noListing is a file that, if it is a directory, does not list its files: only its
// index.html is served.
type noListing struct{ fs.File }

// ReadDir implements fs.ReadDirFile.
func (noListing) ReadDir(int) ([]fs.DirEntry, error) { return nil, fs.ErrPermission }

// serveFile answers a request that is not a WebSocket handshake. On a route it is not 426,
// which needs the header Upgrade: nginx passes that on by HTTP/2, where it is a protocol error.
func serveFile(w http.ResponseWriter, r *http.Request, static http.Handler, isRoute bool) {
	switch {
	case isRoute:
		text := "this is a ZeroMQ route: connect by WebSocket"
		if r.Header.Get("Sec-Websocket-Key") != "" {
			text += " (a proxy on the way has removed the header Upgrade or Connection)"
		}
		http.Error(w, text, http.StatusBadRequest)
	case static == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
	default:
		static.ServeHTTP(w, r)
	}
}
