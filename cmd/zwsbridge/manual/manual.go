package manual

import (
	"embed"
	"path"
	"regexp"
	"slices"
	"strings"
)

// repository is where the manual's links to other files of the repository lead.
const repository = "https://github.com/zwsbridge/zwsbridge/blob/main/"

//go:embed *.md
var files embed.FS

// Topic is a page of the manual.
type Topic struct {
	Name  string // the argument of "zwsbridge help"
	Title string // its heading
}

// order lists the topics from the first that a newcomer reads to the last. A test compares it with
// the files.
var order = []string{
	"start", "overview", "routes", "rights", "logins", "javascript", "go",
	"history", "clusters", "discovery", "controllers", "relay",
	"errors", "proxies", "operating", "admin", "connections", "sizing", "security",
}

// Topics returns all topics in reading order.
func Topics() []Topic {
	topics := make([]Topic, len(order))
	for i, name := range order {
		heading, _, _ := strings.Cut(source(name), "\n")
		topics[i] = Topic{Name: name, Title: strings.TrimPrefix(heading, "# ")}
	}
	return topics
}

// link matches the target of a Markdown link.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Text returns the topic as Markdown for a terminal: links to other topics become the command that
// shows them, links to files of the repository become URLs. It reports whether there is the topic.
func Text(name string) (string, bool) {
	if !slices.Contains(order, name) {
		return "", false
	}
	return link.ReplaceAllStringFunc(source(name), func(found string) string {
		target := link.FindStringSubmatch(found)[1]
		file, _, _ := strings.Cut(target, "#")
		switch topic := strings.TrimSuffix(file, ".md"); {
		case strings.Contains(target, "://"):
			return found
		case slices.Contains(order, topic):
			return "](zwsbridge help " + topic + ")"
		case file == "":
			return "]" // another section of this topic
		}
		return "](" + repository + path.Join("cmd/zwsbridge/manual", target) + ")"
	}), true
}

// source returns the file of a topic.
func source(name string) string {
	text, err := files.ReadFile(name + ".md")
	if err != nil {
		panic(err) // TestTopics compares order with the files
	}
	return string(text)
}
