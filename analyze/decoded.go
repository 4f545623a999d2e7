package analyze

// Decoded is a value's meaning, field by field, for people who want to see
// the bytes behind it.
type Decoded struct {
	// Kind names the structure in plain words, such as "proprietary
	// certificate"; "" where the value is none that we know.
	Kind string `json:"kind"`
	// Secret is set where the contents must not be shown.
	Secret bool `json:"secret,omitempty"`
	// Problem says in one sentence what is wrong; "" where nothing is.
	Problem string `json:"problem,omitempty"`
	// Notes are what is odd about the value but no damage.
	Notes  []string       `json:"notes,omitempty"`
	Fields []DecodedField `json:"fields,omitempty"`
}

// DecodedField is one field of a structure with the bytes it was read from.
type DecodedField struct {
	Name string `json:"name"`
	// Text is the value for people.
	Text string `json:"text"`
	// Offset and Length are in bytes from the value's start; Length is 0 for
	// what was derived and lies nowhere.
	Offset int `json:"offset"`
	Length int `json:"length"`
	// Depth is 0 for a field of the value, 1 for a field of that field, and so on.
	Depth int `json:"depth,omitempty"`
}
