package analyze

import "hivemend/hive"

// Rule is one question asked of a machine. Rules are values in an explicit
// list; nothing registers itself.
type Rule struct {
	ID string
	// Severity is the highest that the rule gives.
	Severity Severity
	// Title is one line without a full stop.
	Title string
	// Explain is the page for people, as plain text with blank lines between
	// paragraphs: what it means, how it is decided, what Windows does, what
	// the fix does, what can go wrong, sources.
	Explain string
	// Needs are the hives without which the rule cannot look at all. Where
	// one is missing the runner says so and does not call Run.
	Needs []hive.Kind
	// References go into every finding that brings none of its own.
	References []string
	// Last is set where the rule judges what the other rules have read, and so
	// has to run after them.
	Last bool
	// Run looks at the machine and reports through the Pass.
	Run func(*Pass)
}
