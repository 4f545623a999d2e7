package hive

import (
	"fmt"
	"strconv"
	"strings"
)

// Type is the type of a value. Any 32-bit number is legal.
type Type uint32

// The types that have names.
const (
	RegNone Type = iota
	RegSZ
	RegExpandSZ
	RegBinary
	RegDWORD
	RegDWORDBigEndian
	RegLink
	RegMultiSZ
	RegResourceList
	RegFullResourceDescriptor
	RegResourceRequirementsList
	RegQWORD
)

var typeNames = [...]string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK", "REG_MULTI_SZ",
	"REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
}

// String returns the type's Windows name, or REG_0x and its number.
func (t Type) String() string {
	if int64(t) < int64(len(typeNames)) {
		return typeNames[t]
	}
	return fmt.Sprintf("REG_0x%x", uint32(t))
}

// ParseType is the inverse of String.
func ParseType(text string) (Type, error) {
	for i, name := range typeNames {
		if name == text {
			return Type(i), nil
		}
	}
	if hex, ok := strings.CutPrefix(text, "REG_0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			return Type(n), nil
		}
	}
	return 0, fmt.Errorf("%q is no value type", text)
}

// MarshalText gives t its name in JSON.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// IsText reports whether data of type t is UTF-16LE text: REG_SZ,
// REG_EXPAND_SZ, REG_LINK or REG_MULTI_SZ.
func (t Type) IsText() bool {
	return t == RegSZ || t == RegExpandSZ || t == RegLink || t == RegMultiSZ
}
