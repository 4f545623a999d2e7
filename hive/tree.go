package hive

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
	"time"

	"hivemend/hive/cursor"
)

// FileTime is the time of the registry; see [cursor.FileTime].
type FileTime = cursor.FileTime

// FileTimeOf returns t as a FileTime, cut to 100 ns; moments before 1601 give 0.
func FileTimeOf(t time.Time) FileTime { return cursor.FromTime(t) }

// Ref stands for one key or one value inside one Store. Only that Store knows
// what the number means.
type Ref uint64

// Store is what a format has to provide so that its keys and values can be
// read through [Key] and [Value]. Refs given to it always came from it.
//
// A Store is lenient: a broken record costs that record and what hangs on it,
// never its siblings. Everything it returns is a view that the caller must not
// change. All methods may be called from several goroutines at once.
type Store interface {
	// Root is the topmost key.
	Root() Ref

	// KeyName is the stored name; of the root, whatever the file says.
	KeyName(key Ref) string
	// KeyLastWrite is 0 where the format has no times.
	KeyLastWrite(key Ref) FileTime
	// KeyFlags are the flags of the nk record, 0 where the format has none.
	KeyFlags(key Ref) uint16
	// KeyClass is the raw class name, nil when there is none.
	KeyClass(key Ref) []byte
	// KeySecurity is the self-relative security descriptor, nil when the
	// format has none or it cannot be read.
	KeySecurity(key Ref) []byte
	// KeyComplete says whether the store knows all values of key and the names
	// of all its subkeys. A hive always does; a .reg file does only for keys
	// that it has a section of.
	KeyComplete(key Ref) bool
	// KeyOrigin says where the key's record (or section) lies.
	KeyOrigin(key Ref) Origin
	// Subkeys calls yield for each subkey in stored order until it returns false.
	Subkeys(key Ref, yield func(Ref) bool)
	// Subkey finds a subkey by name, whatever the case.
	Subkey(key Ref, name string) (Ref, bool)

	// Values calls yield for each value in stored order until it returns false.
	Values(key Ref, yield func(Ref) bool)
	// Value finds a value by name, whatever the case; "" is the default value.
	Value(key Ref, name string) (Ref, bool)
	// ValueName is the stored name, "" of the default value.
	ValueName(value Ref) string
	// ValueType is the stored type.
	ValueType(value Ref) Type
	// ValueSize is the length in bytes that the record claims for its data.
	ValueSize(value Ref) int64
	// ValueData is the data. With an error it returns what could be read.
	ValueData(value Ref) ([]byte, error)
	// ValueOrigin says where the data lies (for .reg text, the line).
	ValueOrigin(value Ref) Origin
}

// Key is a view of one key. The zero Key is no key; only Valid may be called on it.
type Key struct {
	store Store
	ref   Ref
}

// Value is a view of one value. The zero Value is no value; only Valid may be
// called on it.
type Value struct {
	store Store
	ref   Ref
}

// RootKey returns the topmost key of a store.
func RootKey(s Store) Key { return Key{s, s.Root()} }

// Valid reports whether k is a key at all.
func (k Key) Valid() bool { return k.store != nil }

// Store returns the store that k is a view into, and k's place in it.
func (k Key) Store() (Store, Ref) { return k.store, k.ref }

// Name returns the stored name of k as WTF-8.
func (k Key) Name() string { return k.store.KeyName(k.ref) }

// LastWrite returns when k, its list of subkeys or its values were last
// changed; 0 where that is not known.
func (k Key) LastWrite() FileTime { return k.store.KeyLastWrite(k.ref) }

// Flags returns the flags of the key's nk record.
func (k Key) Flags() uint16 { return k.store.KeyFlags(k.ref) }

// Class returns the raw bytes of the class name, nil when there is none.
func (k Key) Class() []byte { return k.store.KeyClass(k.ref) }

// Security returns the self-relative security descriptor, nil when unknown.
func (k Key) Security() []byte { return k.store.KeySecurity(k.ref) }

// Complete reports whether what is not seen below k is really absent.
func (k Key) Complete() bool { return k.store.KeyComplete(k.ref) }

// Origin says where the key's record lies.
func (k Key) Origin() Origin { return k.store.KeyOrigin(k.ref) }

// Subkeys iterates over the subkeys of k in stored order.
func (k Key) Subkeys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		k.store.Subkeys(k.ref, func(r Ref) bool { return yield(Key{k.store, r}) })
	}
}

// Subkey returns the subkey of that name, whatever the case.
func (k Key) Subkey(name string) (Key, bool) {
	r, ok := k.store.Subkey(k.ref, name)
	if !ok {
		return Key{}, false
	}
	return Key{k.store, r}, true
}

// Lookup follows path down from k. An empty path gives k itself.
func (k Key) Lookup(path Path) (Key, bool) {
	for _, name := range path {
		var ok bool
		if k, ok = k.Subkey(name); !ok {
			return Key{}, false
		}
	}
	return k, true
}

// Values iterates over the values of k in stored order.
func (k Key) Values() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		k.store.Values(k.ref, func(r Ref) bool { return yield(Value{k.store, r}) })
	}
}

// Value returns the value of that name, whatever the case; "" is the default value.
func (k Key) Value(name string) (Value, bool) {
	r, ok := k.store.Value(k.ref, name)
	if !ok {
		return Value{}, false
	}
	return Value{k.store, r}, true
}

// Valid reports whether v is a value at all.
func (v Value) Valid() bool { return v.store != nil }

// Name returns the stored name, "" of the default value.
func (v Value) Name() string { return v.store.ValueName(v.ref) }

// Type returns the stored type.
func (v Value) Type() Type { return v.store.ValueType(v.ref) }

// Size returns the number of bytes that the record claims for its data; what
// can really be read may be less.
func (v Value) Size() int64 { return v.store.ValueSize(v.ref) }

// Data returns the value's bytes as a view that must not be changed. With an
// error it returns as much as could be read.
func (v Value) Data() ([]byte, error) { return v.store.ValueData(v.ref) }

// Origin says where the value's data lies.
func (v Value) Origin() Origin { return v.store.ValueOrigin(v.ref) }

// DWORD returns the number of a REG_DWORD, or an error that says what the
// value is instead.
func (v Value) DWORD() (uint32, error) {
	data, err := v.Data()
	switch {
	case err != nil:
		return 0, err
	case v.Type() != RegDWORD:
		return 0, fmt.Errorf("value %q: want %s, found %s", v.Name(), RegDWORD, v.Type())
	case len(data) != 4:
		return 0, fmt.Errorf("value %q: want 4 bytes, found %d", v.Name(), len(data))
	}
	return binary.LittleEndian.Uint32(data), nil
}

// Text returns the text of a REG_SZ or REG_EXPAND_SZ up to its first NUL.
func (v Value) Text() (string, error) {
	data, err := v.Data()
	if err != nil {
		return "", err
	}
	if t := v.Type(); t != RegSZ && t != RegExpandSZ {
		return "", fmt.Errorf("value %q: want text, found %s", v.Name(), t)
	}
	text, _, _ := strings.Cut(cursor.String(data), "\x00")
	return text, nil
}

// Texts returns the strings of a REG_MULTI_SZ, empty ones included, up to the
// empty one that ends the list.
func (v Value) Texts() ([]string, error) {
	data, err := v.Data()
	if err != nil {
		return nil, err
	}
	if t := v.Type(); t != RegMultiSZ {
		return nil, fmt.Errorf("value %q: want %s, found %s", v.Name(), RegMultiSZ, t)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(cursor.String(data), "\x00"), "\x00")
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, "\x00"), nil
}
