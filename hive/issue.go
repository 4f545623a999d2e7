package hive

import "fmt"

// Damage grades an [Issue] by what Windows does with it.
type Damage int

// The grades, from harmless to fatal.
const (
	DamageInfo    Damage = iota // worth knowing, nothing wrong
	DamageAnomaly               // odd, but tolerated by Windows
	DamageLoss                  // Windows heals it by throwing keys or values away
	DamageFatal                 // Windows refuses to load the hive, or may crash
)

var damageNames = [...]string{"info", "anomaly", "loss", "fatal"}

// String returns "info", "anomaly", "loss" or "fatal".
func (d Damage) String() string {
	if d < 0 || int(d) >= len(damageNames) {
		return fmt.Sprintf("Damage(%d)", int(d))
	}
	return damageNames[d]
}

// MarshalText gives d its name in JSON.
func (d Damage) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Issue is one structural defect, or one oddity worth knowing, of a hive.
type Issue struct {
	Code   string // the defect's stable code, such as "NK05"
	Damage Damage
	Offset int64  // where it lies, in bytes from the start of the hive file
	Key    Path   // the key it touches, from the hive's root; nil where unknown or none
	Detail string // what was wanted and what was found
	Effect string // what Windows does with it, in a short sentence
}
