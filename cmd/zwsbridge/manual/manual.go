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
	"start", "overview", "configuration", "commands", "routes", "rights", "logins", "javascript", "go",
	"history", "clusters", "discovery", "controllers", "relay",
	"errors", "proxies", "operating", "admin", "metrics", "connections", "sizing", "security",
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

var (
	// link matches the target of a Markdown link, and the text before it if that is plain.
	link = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)
	// comment matches the marks of generated parts and of the tests, each on lines of its own.
	comment = regexp.MustCompile(`(?m)^ *<!--.*?-->\n`)
)

// Markdown returns a topic as Markdown that can be read outside of the repository: links to other
// topics name the command that shows them, links to files of the repository become URLs. It reports
// whether there is the topic.
func Markdown(name string) (text string, ok bool) {
	if !slices.Contains(order, name) {
		return "", false
	}
	text = comment.ReplaceAllString(source(name), "")
	return link.ReplaceAllStringFunc(text, func(found string) string {
		m := link.FindStringSubmatch(found)
		label, target := m[1], m[2]
		file, _, _ := strings.Cut(target, "#")
		switch topic := strings.TrimSuffix(file, ".md"); {
		case strings.Contains(target, "://"):
			return found
		case slices.Contains(order, topic):
			if label == topic {
				return "`zwsbridge help " + topic + "`"
			}
			return label + " (`zwsbridge help " + topic + "`)"
		case file == "":
			return label // another section of this topic
		}
		return "[" + label + "](" + repository + path.Join("cmd/zwsbridge/manual", target) + ")"
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
