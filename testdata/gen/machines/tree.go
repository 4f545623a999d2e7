package machines

import (
	"encoding/binary"
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// A tree is a hive in the making. Keys get the time that now holds when they
// are made, and the security that their parent has unless they are given one.
type tree struct {
	root *hive.Node
	now  hive.FileTime
}

// Key flags of the nk record, as every hive of Windows has them.
const (
	flagCompressedName = 0x20
	rootFlags          = 0x2c // root, cannot be deleted, compressed name
)

// Descriptors that Windows gives to the keys of a machine.
var (
	systemSecurity = encode.SecurityDescriptor(
		encode.Grant{Who: encode.UsersGroup, Rights: encode.KeyRead, Inherit: true},
		encode.Grant{Who: encode.Administrators, Rights: encode.KeyFull, Inherit: true},
		encode.Grant{Who: encode.LocalSystem, Rights: encode.KeyFull, Inherit: true},
		encode.Grant{Who: encode.CreatorOwner, Rights: encode.KeyFull, Inherit: true},
	)
	// storeSecurity lets users write the licence store, as on a client on which
	// a user has connected since the store was made.
	storeSecurity = encode.SecurityDescriptor(
		encode.Grant{Who: encode.UsersGroup, Rights: encode.KeyRead | encode.KeyWrite, Inherit: true},
		encode.Grant{Who: encode.Administrators, Rights: encode.KeyFull, Inherit: true},
		encode.Grant{Who: encode.LocalSystem, Rights: encode.KeyFull, Inherit: true},
	)
	secretSecurity = encode.SecurityDescriptor(
		encode.Grant{Who: encode.LocalSystem, Rights: encode.KeyFull, Inherit: true},
	)
)

func newTree(rootName string, written time.Time) *tree {
	now := hive.FileTime(encode.FileTime(written))
	return &tree{
		root: &hive.Node{Name: rootName, LastWrite: now, Flags: rootFlags, Security: systemSecurity},
		now:  now,
	}
}

// at sets the time of the keys that are made from here on.
func (t *tree) at(written time.Time) { t.now = hive.FileTime(encode.FileTime(written)) }

// key returns the key at path, made with all above it where it is missing, and
// appends values to it.
func (t *tree) key(path string, values ...hive.NodeValue) *hive.Node {
	n := t.root
	for _, name := range hive.ParsePath(path) {
		sub := n.Subkey(name)
		if sub == nil {
			sub = &hive.Node{Name: name, LastWrite: t.now, Flags: flagCompressedName, Security: n.Security}
			n.Keys = append(n.Keys, sub)
		}
		n = sub
	}
	n.LastWrite = max(n.LastWrite, t.now)
	n.Values = append(n.Values, values...)
	return n
}

// secure gives n, and what is made below it from here on, a descriptor.
func secure(n *hive.Node, descriptor []byte) *hive.Node {
	n.Security = descriptor
	return n
}

// clone returns a copy of n under another name, with all below it.
func clone(n *hive.Node, name string) *hive.Node {
	c := *n
	c.Name = name
	c.Values = append([]hive.NodeValue(nil), n.Values...)
	c.Keys = nil
	for _, k := range n.Keys {
		c.Keys = append(c.Keys, clone(k, k.Name))
	}
	return &c
}

func sz(name, text string) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegSZ, Data: encode.UTF16Z(text)}
}

func expandSZ(name, text string) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegExpandSZ, Data: encode.UTF16Z(text)}
}

func multiSZ(name string, texts ...string) hive.NodeValue {
	var data []byte
	for _, text := range texts {
		data = append(data, encode.UTF16Z(text)...)
	}
	return hive.NodeValue{Name: name, Type: hive.RegMultiSZ, Data: append(data, 0, 0)}
}

func dword(name string, n uint32) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegDWORD, Data: binary.LittleEndian.AppendUint32(nil, n)}
}

func bin(name string, data []byte) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegBinary, Data: data}
}

func fileTimeValue(name string, t time.Time) hive.NodeValue {
	return bin(name, binary.LittleEndian.AppendUint64(nil, encode.FileTime(t)))
}
