package vectors

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/testdata/gen/encode"
)

// HivesFile lists the hives with what is to be found in each.
const HivesFile = "hives.tsv"

// Hive is a hive with exactly one structural defect.
type Hive struct {
	Code   string // of the defect, such as "NK05"
	Name   string // what is wrong, as part of the file's name
	About  string // the same in one sentence
	Damage hive.Damage
	// Also are the codes that the defect cannot be had without.
	Also []string
	Data []byte
}

// Path is where the hive lies below testdata/vectors.
func (h Hive) Path() string { return fmt.Sprintf("hives/%s-%s.hive", h.Code, h.Name) }

// Hives returns the hives in the order of their codes, the sound one first.
func Hives() ([]Hive, error) {
	sound, err := soundHive()
	if err != nil {
		return nil, err
	}
	all := []Hive{{Code: "OK", Name: "sound", About: "no defect: what the others are made of", Data: sound}}
	for _, d := range defects {
		s := &surgeon{bytes.Clone(sound)}
		d.do(s)
		if d.code != "BB02" {
			s.checksum()
		}
		all = append(all, Hive{Code: d.code, Name: d.name, About: d.about, Damage: d.damage, Also: d.also, Data: s.data})
	}
	return all, nil
}

func hivesIndex(all []Hive) []byte {
	var out bytes.Buffer
	out.WriteString("file\tcode\tseverity\talso\tdefect\n")
	for _, h := range all {
		code, severity := h.Code, h.Damage.String()
		if code == "OK" {
			code, severity = "-", "-"
		}
		out.WriteString(strings.Join([]string{h.Path(), code, severity, strings.Join(h.Also, ","), h.About}, "\t") + "\n")
	}
	return out.Bytes()
}

// soundHive returns a hive of one bin with a little of everything: three
// levels, a class, two security descriptors, data in and outside the vk record.
func soundHive() ([]byte, error) {
	now := hive.FileTime(encode.FileTime(time.Date(2012, 4, 1, 10, 0, 0, 0, time.UTC)))
	open := encode.SecurityDescriptor(
		encode.Grant{Who: encode.Everyone, Rights: encode.KeyRead, Inherit: true},
		encode.Grant{Who: encode.Administrators, Rights: encode.KeyFull, Inherit: true})
	closed := encode.SecurityDescriptor(encode.Grant{Who: encode.LocalSystem, Rights: encode.KeyFull, Inherit: true})
	key := func(name string, security []byte, keys ...*hive.Node) *hive.Node {
		return &hive.Node{Name: name, LastWrite: now, Flags: compressedName, Security: security, Keys: keys}
	}
	alpha := key("Alpha", open)
	alpha.Class = encode.UTF16("class")
	alpha.Values = []hive.NodeValue{
		{Name: "", Type: hive.RegSZ, Data: encode.UTF16Z("default")},
		{Name: "Number", Type: hive.RegDWORD, Data: []byte{1, 2, 3, 4}},
		{Name: "Text", Type: hive.RegSZ, Data: encode.UTF16Z("some text")},
		{Name: "Test", Type: hive.RegBinary, Data: encode.Stream("hive vector", 40)},
	}
	root := key("ROOT", open,
		alpha,
		key("Beta", open, key("One", open), key("Three", open), key("Two", closed)),
		key("Gamma", closed),
		key("Z", closed))
	root.Flags = 0x2c
	return regf.Build(root.Key(), regf.BuildOptions{FileName: `\SystemRoot\System32\Config\VECTOR`, Time: now})
}

// A defect is one change to the sound hive.
type defect struct {
	code, name, about string
	damage            hive.Damage
	also              []string
	do                func(*surgeon)
}

const (
	fatal   = hive.DamageFatal
	loss    = hive.DamageLoss
	anomaly = hive.DamageAnomaly
	info    = hive.DamageInfo
)

var defects = []defect{
	{"BB02", "checksum", "the base block's checksum is wrong", fatal, nil, func(s *surgeon) { s.put32(baseChecksum, s.u32(baseChecksum)^0x10) }},
	{"BB03", "dirty", "the two sequence numbers differ", info, nil, func(s *surgeon) { s.put32(baseSequence1, s.u32(baseSequence1)+1) }},
	{"BB04", "minor", "the minor version is 7", fatal, nil, func(s *surgeon) { s.put32(baseMinor, 7) }},
	{"BB05", "type", "the file type is that of a log", fatal, nil, func(s *surgeon) { s.put32(baseType, 1) }},
	{"BB06", "format", "the format is 0", fatal, nil, func(s *surgeon) { s.put32(baseFormat, 0) }},
	{"BB07", "cluster", "the clustering factor is 2", anomaly, nil, func(s *surgeon) { s.put32(baseCluster, 2) }},
	{"BB08", "length", "the bins are said to be longer than the file", fatal, nil, func(s *surgeon) { s.put32(baseLength, 0x10000) }},
	{"BB09", "root", "the root is at the offset that means none", fatal, nil, func(s *surgeon) { s.put32(baseRoot, nilOffset) }},
	{"BB10", "trailing", "512 bytes of something else stand behind the last bin", info, nil, func(s *surgeon) { s.data = append(s.data, encode.Stream("trailing", 512)...) }},
	{"BB11", "time", "the base block has another time than the first bin", anomaly, nil, func(s *surgeon) {
		s.put32(baseSize+binTime, s.u32(baseTime)-10_000_000)
		s.put32(baseSize+binTime+4, s.u32(baseTime+4))
	}},
	{"BB12", "flags", "the flag for pending transactions is set", info, nil, func(s *surgeon) {
		s.put(baseRmtm, "rmtm")
		s.put32(baseFlags, 1)
	}},
	{"BB13", "offreg", "the mark of the offline registry library is there", info, nil, func(s *surgeon) {
		s.put(baseOfRg, "OfRg")
		s.put32(baseOfRg+4, 1)
	}},

	{"BN01", "signature", "the bin's signature is wrong", fatal, nil, func(s *surgeon) { s.put(baseSize, "hbiN") }},
	{"BN03", "zeros", "behind the bin lie 4096 zero bytes that are said to be a bin", loss, nil, func(s *surgeon) {
		s.data = append(s.data, make([]byte, 4096)...)
		s.put32(baseLength, s.u32(baseLength)+4096)
	}},
	{"CL01", "size-zero", "the free cell's size is 0", fatal, nil, func(s *surgeon) { cell, _ := s.free(); s.put32(cell, 0) }},
	{"CL01", "size-min", "the free cell's size is the smallest number there is", fatal, nil, func(s *surgeon) { cell, _ := s.free(); s.put32(cell, 0x80000000) }},
	{"CL02", "free-pair", "two free cells stand side by side", anomaly, nil, func(s *surgeon) {
		cell, n := s.free()
		s.put32(cell, 64)
		s.put32(cell+64, uint32(n-64))
	}},
	{"CL03", "leak", "an allocated cell that nothing refers to", anomaly, nil, func(s *surgeon) { s.alloc(40) }},
	{"CL04", "shared", "two values share their data", fatal, []string{"CL03"}, func(s *surgeon) {
		alpha := s.key("Alpha")
		s.put32(s.value(alpha, "Text")+vkData, s.u32(s.value(alpha, "Test")+vkData))
	}},
	{"CL05", "free-class", "a class name lies in a free cell", fatal, []string{"CL03"}, func(s *surgeon) {
		cell, _ := s.free()
		s.put32(s.key("Alpha")+nkClass, s.offset(cell+4))
	}},

	{"NK01", "signature", "a key's signature is wrong", fatal, []string{"SK03"}, func(s *surgeon) { s.put(s.key("Gamma"), "nx") }},
	{"NK02", "no-name", "a key's name is empty", loss, []string{"LS06", "LS08"}, func(s *surgeon) { s.put16(s.key("Gamma")+nkNameLength, 0) }},
	{"NK04", "backslash", "a key's name holds a backslash", loss, nil, func(s *surgeon) {
		gamma := s.key("Gamma")
		s.put(gamma+nkName, `Gam\a`)
		s.put32(s.entry(s.key(), 2)+4, hash(`Gam\a`))
	}},
	{"NK05", "parent", "a key names another parent", loss, nil, func(s *surgeon) { s.put32(s.key("Beta", "One")+nkParent, s.offset(s.key("Alpha"))) }},
	{"NK06", "volatile", "a key has the flag of volatile keys", anomaly, nil, func(s *surgeon) {
		nk := s.key("Gamma")
		s.put16(nk+nkFlags, s.u16(nk+nkFlags)|1)
	}},
	{"NK07", "volatile-count", "a key counts a volatile subkey", info, nil, func(s *surgeon) { s.put32(s.key("Beta")+nkVolatile, 1) }},
	{"NK08", "wide-name", "a name of ASCII letters is stored as UTF-16", anomaly, nil, func(s *surgeon) {
		nk := s.key("Z")
		s.put16(nk+nkFlags, s.u16(nk+nkFlags)&^compressedName)
		s.put16(nk+nkNameLength, 2)
		s.put(nk+nkName, "Z\x00")
	}},
	{"NK09", "hint", "the longest subkey name is said to have 2 bytes", anomaly, nil, func(s *surgeon) { s.put16(s.key("Beta")+nkMaxNameLen, 2) }},
	{"NK10", "class", "a class name is longer than its cell", loss, []string{"NK09"}, func(s *surgeon) { s.put16(s.key("Alpha")+nkClassLength, 200) }},
	{"NK11", "class-length", "a class name has a length but no place", anomaly, nil, func(s *surgeon) { s.put16(s.key("Gamma")+nkClassLength, 4) }},
	{"NK12", "cycle", "a key is its own grandchild", fatal, []string{"CL03", "LS08", "SK03"}, func(s *surgeon) {
		beta := s.key("Beta")
		s.put32(s.entry(beta, 0), s.offset(beta))
	}},
	{"NK14", "security", "a key has no security descriptor", fatal, []string{"SK03"}, func(s *surgeon) { s.put32(s.key("Gamma")+nkSecurity, nilOffset) }},
	{"NK15", "entry-flag", "the root lacks the flag of roots", anomaly, nil, func(s *surgeon) {
		s.put16(s.key()+nkFlags, s.u16(s.key()+nkFlags)&^4)
	}},

	{"LS01", "signature", "a list of subkeys has an unknown signature", loss, []string{"CL03", "SK03"}, func(s *surgeon) { s.put(s.list(s.key("Beta")), "lx") }},
	{"LS02", "count", "a list counts more subkeys than its cell holds", loss, nil, func(s *surgeon) { s.put16(s.list(s.key("Beta"))+2, 300) }},
	{"LS03", "nested", "a list of lists lists a list of lists", fatal, []string{"CL03", "SK03"}, func(s *surgeon) {
		beta := s.key("Beta")
		leaf := s.u32(beta + nkSubkeyList)
		inner, outer := s.alloc(8), s.alloc(8)
		for at, to := range map[int]uint32{inner: leaf, outer: s.offset(inner)} {
			s.put(at, "ri\x01\x00")
			s.put32(at+4, to)
		}
		s.put32(beta+nkSubkeyList, s.offset(outer))
	}},
	{"LS04", "empty-leaf", "a list of lists names an empty list", anomaly, nil, func(s *surgeon) {
		beta := s.key("Beta")
		empty, lists := s.alloc(4), s.alloc(12)
		s.put(empty, "lh\x00\x00")
		s.put(lists, "ri\x02\x00")
		s.put32(lists+4, s.u32(beta+nkSubkeyList))
		s.put32(lists+8, s.offset(empty))
		s.put32(beta+nkSubkeyList, s.offset(lists))
	}},
	{"LS05", "subkey-count", "a key counts one subkey more than its list", loss, nil, func(s *surgeon) { s.put32(s.key("Beta")+nkSubkeyCount, 4) }},
	{"LS06", "order", "two subkeys stand in the wrong order", loss, nil, func(s *surgeon) {
		beta := s.key("Beta")
		a, b := s.entry(beta, 0), s.entry(beta, 1)
		first, second := string(s.data[a:a+8]), string(s.data[b:b+8])
		s.put(a, second)
		s.put(b, first)
	}},
	{"LS07", "twice", "two subkeys have one name", loss, nil, func(s *surgeon) {
		beta := s.key("Beta")
		two := s.key("Beta", "Two")
		s.put16(two+nkNameLength, 5)
		s.put(two+nkName, "Three")
		s.put32(s.entry(beta, 2)+4, hash("Three"))
	}},
	{"LS08", "hash", "a list stores another hash than the name's", loss, nil, func(s *surgeon) {
		at := s.entry(s.key("Beta"), 1) + 4
		s.put32(at, s.u32(at)+1)
	}},
	{"LS10", "old-list", "a hive of version 1.5 has a list of the type before it", anomaly, nil, func(s *surgeon) {
		beta := s.key("Beta")
		s.put(s.list(beta), "lf")
		for i, hint := range []string{"One\x00", "Thre", "Two\x00"} {
			s.put(s.entry(beta, i)+4, hint)
		}
	}},

	{"VL01", "count", "a key counts more values than its list holds", loss, []string{"CL05", "VK01"}, func(s *surgeon) { s.put32(s.key("Alpha")+nkValueCount, 200) }},
	{"VL02", "twice", "two values have one name", loss, nil, func(s *surgeon) { s.put(s.value(s.key("Alpha"), "Test")+vkName, "TEXT") }},
	{"VK01", "signature", "a value's signature is wrong", loss, nil, func(s *surgeon) { s.put(s.value(s.key("Alpha"), "Number"), "vx") }},
	{"VK02", "inline", "a value says to hold 5 bytes in a field of 4", loss, nil, func(s *surgeon) { s.put32(s.value(s.key("Alpha"), "Number")+vkDataSize, 0x80000005) }},
	{"VK03", "no-size", "a value without data names a cell of data", loss, []string{"CL03"}, func(s *surgeon) { s.put32(s.value(s.key("Alpha"), "Test")+vkDataSize, 0) }},
	{"VK04", "data", "a value's data is at the offset that means none", loss, []string{"CL03"}, func(s *surgeon) { s.put32(s.value(s.key("Alpha"), "Test")+vkData, nilOffset) }},
	{"VK05", "data-short", "a value's data is longer than its cell", loss, []string{"NK09"}, func(s *surgeon) { s.put32(s.value(s.key("Alpha"), "Test")+vkDataSize, 400) }},
	{"VK06", "flags", "a value has a flag that nobody knows", anomaly, nil, func(s *surgeon) {
		vk := s.value(s.key("Alpha"), "Test")
		s.put16(vk+vkFlags, s.u16(vk+vkFlags)|8)
	}},

	{"SK01", "ring", "the ring of security descriptors does not close", fatal, nil, func(s *surgeon) {
		sk := s.payload(s.u32(s.key("Gamma") + nkSecurity))
		s.put32(sk+skFlink, s.offset(sk))
	}},
	{"SK02", "references-few", "a security descriptor counts fewer keys than use it", fatal, nil, func(s *surgeon) {
		sk := s.payload(s.u32(s.key() + nkSecurity))
		s.put32(sk+skReferences, s.u32(sk+skReferences)-1)
	}},
	{"SK03", "references-many", "a security descriptor counts more keys than use it", anomaly, nil, func(s *surgeon) {
		sk := s.payload(s.u32(s.key() + nkSecurity))
		s.put32(sk+skReferences, s.u32(sk+skReferences)+1)
	}},
	{"SK04", "descriptor", "a security descriptor's owner lies outside it", fatal, nil, func(s *surgeon) {
		sk := s.payload(s.u32(s.key("Gamma") + nkSecurity))
		s.put32(sk+skDescriptor+4, 0x10000)
	}},
	{"SK05", "unused", "a security descriptor that no key uses", anomaly, nil, func(s *surgeon) { s.addDescriptor(encode.SecurityDescriptor(), 0) }},
	{"SK06", "unshared", "two records hold the same security descriptor", info, nil, func(s *surgeon) {
		old := s.payload(s.u32(s.key("Z") + nkSecurity))
		same := s.data[old+skDescriptor:][:s.u32(old+skLength)]
		s.put32(s.key("Z")+nkSecurity, s.addDescriptor(bytes.Clone(same), 1))
		s.put32(old+skReferences, s.u32(old+skReferences)-1)
	}},
}

// addDescriptor puts an sk record into the ring, behind that of the root, and
// returns its offset.
func (s *surgeon) addDescriptor(descriptor []byte, references uint32) uint32 {
	at := s.alloc(skDescriptor + len(descriptor))
	before := s.payload(s.u32(s.key() + nkSecurity))
	after := s.payload(s.u32(before + skFlink))
	s.put(at, "sk")
	s.put32(at+skFlink, s.offset(after))
	s.put32(at+skBlink, s.offset(before))
	s.put32(at+skReferences, references)
	s.put32(at+skLength, uint32(len(descriptor)))
	copy(s.data[at+skDescriptor:], descriptor)
	s.put32(before+skFlink, s.offset(at))
	s.put32(after+skBlink, s.offset(at))
	return s.offset(at)
}
