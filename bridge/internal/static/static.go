package static

import (
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/zwsbridge/zwsbridge/zws/js"
)

// New returns a handler of GET and HEAD requests for the files of directory. An empty name
// means the browser's client only. The directory stays open until the process ends.
func New(directory string) (http.Handler, error) {
	if directory == "" {
		return js.Handler, nil
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, err
	}
	visible := files{root.FS()}
	return &handler{visible, http.FileServerFS(visible)}, nil
}

type handler struct {
	files  files
	server http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if strings.HasSuffix(r.URL.Path, "/") {
		name = path.Join(name, "index.html")
	}
	info, err := fs.Stat(h.files, name)
	switch {
	case err != nil && js.Serves(r.URL.Path):
		js.Handler.ServeHTTP(w, r)
		return
	case err == nil && info.Mode().IsRegular() && !strings.HasSuffix(r.URL.Path, "/index.html"): // which is redirected
		if h.serveCompressed(w, r, name, info) {
			return
		}
		w.Header().Set("ETag", tagOf(info, ""))
	}
	h.server.ServeHTTP(w, r)
}

// tagOf returns the ETag of a file or, with the name of its coding, of its compressed copy.
func tagOf(info fs.FileInfo, coding string) string {
	if coding != "" {
		coding = "-" + coding
	}
	return fmt.Sprintf(`"%x-%x%s"`, info.ModTime().UnixNano(), info.Size(), coding)
}

// encodings are the compressed copies of a file in the order of preference.
var encodings = []struct{ coding, extension string }{{"br", ".br"}, {"gzip", ".gz"}}

// serveCompressed serves a compressed copy of a file if there is one that the client accepts. A
// copy that is older than the file is not used.
func (h *handler) serveCompressed(w http.ResponseWriter, r *http.Request, name string, original fs.FileInfo) bool {
	for _, e := range encodings {
		file, info, ok := h.files.openCopy(name+e.extension, original)
		if !ok {
			continue
		}
		defer file.Close()
		w.Header().Set("Vary", "Accept-Encoding")
		if !js.AcceptsEncoding(r, e.coding) {
			continue
		}
		w.Header().Set("Content-Type", h.files.contentType(name))
		w.Header().Set("Content-Encoding", e.coding)
		w.Header().Set("ETag", tagOf(info, e.coding))
		http.ServeContent(w, r, "", info.ModTime(), file)
		return true
	}
	return false
}

// contentType returns the type of a file as http.ServeContent does: by its name, or else by its
// content.
func (f files) contentType(name string) string {
	if byName := mime.TypeByExtension(path.Ext(name)); byName != "" {
		return byName
	}
	file, err := f.Open(name)
	if err != nil {
		return "application/octet-stream"
	}
	defer file.Close()
	start := make([]byte, 512) // what DetectContentType looks at
	n, _ := file.Read(start)
	return http.DetectContentType(start[:n])
}
