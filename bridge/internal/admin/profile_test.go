package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestProfileWithDeadlines: a profile that takes longer than the server lets requests and answers take
// arrives all the same.
func TestProfileWithDeadlines(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record(w, r, 100*time.Millisecond, func() error { return nil }, func() { _, _ = io.WriteString(w, "a profile") })
	}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 20*time.Millisecond, 20*time.Millisecond
	s.Start()
	defer s.Close()
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "a profile" {
		t.Errorf("got %q, %v", text, err)
	}
}
