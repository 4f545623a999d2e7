package analyze

import "fmt"

// Severity says how much a finding matters.
type Severity int

// The severities, from the least to the most.
const (
	Note    Severity = iota // worth knowing; nothing has to be done
	Warning                 // likely trouble, or something that hides trouble
	Error                   // proved damage that breaks Remote Desktop or its licensing
)

var severityNames = [...]string{"note", "warning", "error"}

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severityNames[s]
}

// ParseSeverity is the inverse of String.
func ParseSeverity(text string) (Severity, error) {
	for i, name := range severityNames {
		if name == text {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no severity: want error, warning or note", text)
}

// MarshalText gives s its name in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// Confidence says how sure a finding is.
type Confidence int

// The confidences. High means proved from the bytes; Medium means that the
// bytes fit the finding and hardly anything else; Low means that a person has
// to look.
const (
	Low Confidence = iota
	Medium
	High
)

var confidenceNames = [...]string{"low", "medium", "high"}

// String returns "low", "medium" or "high".
func (c Confidence) String() string {
	if c < 0 || int(c) >= len(confidenceNames) {
		return fmt.Sprintf("Confidence(%d)", int(c))
	}
	return confidenceNames[c]
}

// MarshalText gives c its name in JSON.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (c *Confidence) UnmarshalText(text []byte) error {
	for i, name := range confidenceNames {
		if name == string(text) {
			*c = Confidence(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no confidence: want high, medium or low", text)
}
