package rdp

import (
	"encoding/binary"
	"fmt"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/internal/certstore"
	"hivemend/analyze/internal/chain"
	"hivemend/analyze/internal/hwid"
	"hivemend/analyze/internal/licence"
	"hivemend/analyze/internal/propcert"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

// Decode returns the meaning of a value by its name alone. A value that the
// rules know nothing about gives a Decoded without a kind. Secrets are named
// and sized, never shown.
func Decode(v hive.Value) analyze.Decoded { return DecodeAt(nil, v) }

// DecodeAt is Decode for a value whose key is known: path is its key's path,
// whole or from the hive's root. It tells values apart whose names are common.
func DecodeAt(path hive.Path, v hive.Value) analyze.Decoded {
	if isSecret(path) || strings.HasPrefix(hive.Fold(v.Name()), "L$") {
		return analyze.Decoded{Kind: "secret", Secret: true, Fields: []analyze.DecodedField{
			{Name: "size", Text: fmt.Sprintf("%d bytes, which are never shown", v.Size())},
		}}
	}
	for _, d := range decoders {
		if hive.EqualFold(v.Name(), d.name) && (path == nil || d.at == "" || hasName(path, d.at)) {
			return decodeWith(d, v)
		}
	}
	return analyze.Decoded{}
}

// hasName reports whether a key of that name lies on the path.
func hasName(path hive.Path, name string) bool {
	for _, n := range path {
		if hive.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// decoder gives the meaning of a value of that name.
type decoder struct {
	name string
	at   string // a key that lies on the way to it, "" for anywhere
	kind string
	typ  hive.Type
	show func(data []byte) (fault verdict.Fault, fields []verdict.Field, notes []verdict.Note)
}

var decoders = []decoder{
	{certificate, "", "proprietary certificate", hive.RegBinary, showProprietary},
	{certificateOld, "", "proprietary certificate", hive.RegBinary, showProprietary},
	{x509, "", "certificate chain", hive.RegBinary, showChain},
	{x5092, "", "certificate chain", hive.RegBinary, showChain},
	{x509ID, "", "identifier of the certificate chain", hive.RegBinary, showOpaque},
	{clientHWID, "", "hardware identifier", hive.RegBinary, showHWID},
	{clientLicense, "", "client licence", hive.RegBinary, showLicence},
	{"LicenseScope", "MSLicensing", "scope of a licence", hive.RegBinary, showANSI},
	{"CompanyName", "MSLicensing", "company of a licence", hive.RegBinary, showUTF16},
	{"ProductID", "MSLicensing", "product of a licence", hive.RegBinary, showUTF16},
	{"SSLCertificateSHA1Hash", "", "thumbprint of the listener's certificate", hive.RegBinary, showThumbprint},
	{"SelfSignedCertificate", "", "thumbprint of the self-signed certificate", hive.RegBinary, showThumbprint},
	{"Blob", "SystemCertificates", "entry of a certificate store", hive.RegBinary, showStored},
	{"ShutdownTime", "Windows", "time of the last shutdown", hive.RegBinary, showFileTime},
	{minEncryptionLevel, "", "encryption level", hive.RegDWORD, showNumber(map[uint32]string{1: "Low", 2: "Client Compatible (Medium on Windows 2000)", 3: "High", 4: "FIPS Compliant"})},
	{securityLayer, "", "security layer", hive.RegDWORD, showNumber(map[uint32]string{0: "RDP", 1: "negotiate", 2: "TLS"})},
	{licensingMode, "", "licensing mode", hive.RegDWORD, showNumber(map[uint32]string{1: "without the role", 2: "per device", 4: "per user", 5: "not configured"})},
	{policyAcOn, "", "licensing mode", hive.RegDWORD, showNumber(map[uint32]string{2: "per device", 4: "per user"})},
}

func decodeWith(d decoder, v hive.Value) analyze.Decoded {
	out := analyze.Decoded{Kind: d.kind}
	data, err := v.Data()
	if err != nil {
		out.Problem = "The bytes could not be read: " + err.Error()
		return out
	}
	fault, fields, notes := d.show(data)
	if v.Type() != d.typ {
		fault.Detail = fmt.Sprintf("The value is %s; %s is due.", v.Type(), d.typ)
	}
	out.Problem = fault.Detail
	for _, n := range notes {
		out.Notes = append(out.Notes, n.Detail)
	}
	for _, f := range fields {
		out.Fields = append(out.Fields, analyze.DecodedField{Name: f.Name, Text: f.Value, Offset: f.Offset, Length: f.Length, Depth: f.Depth})
	}
	return out
}

func showProprietary(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	c := propcert.Decode(data)
	return c.Fault, c.Fields, c.Notes
}

func showChain(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	c := chain.Decode(data)
	return c.Fault, c.Fields, c.Notes
}

func showLicence(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	l := licence.Decode(data)
	return l.Fault, l.Fields, l.Notes
}

func showHWID(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	id := hwid.Decode(data)
	return id.Fault, id.Fields, nil
}

func showStored(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	e := certstore.Decode(data)
	return e.Fault, e.Fields, e.Notes
}

// one is the single field of a value.
func one(data []byte, name, text string) []verdict.Field {
	return []verdict.Field{{Name: name, Length: len(data), Value: text}}
}

func showOpaque(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	return verdict.Fault{}, one(data, "content", verdict.Hex(data, 64)+" (no source gives its layout)"), nil
}

func showANSI(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	return verdict.Fault{}, one(data, "text", verdict.Text(strings.TrimRight(string(data), "\x00"))), nil
}

func showUTF16(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	var text []rune
	for i := 0; i+1 < len(data); i += 2 {
		if u := binary.LittleEndian.Uint16(data[i:]); u != 0 {
			text = append(text, rune(u))
		}
	}
	return verdict.Fault{}, one(data, "text", verdict.Text(string(text))), nil
}

func showThumbprint(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	fault := verdict.Fault{}
	if len(data) != 20 {
		fault.Detail = fmt.Sprintf("The value has %d bytes; a SHA-1 has 20.", len(data))
	}
	return fault, one(data, "SHA-1", fmt.Sprintf("%X", data)), nil
}

func showFileTime(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	if len(data) != 8 {
		return verdict.Fault{Detail: fmt.Sprintf("The value has %d bytes; a time has 8.", len(data))}, one(data, "content", verdict.Hex(data, 64)), nil
	}
	return verdict.Fault{}, one(data, "time", hive.FileTime(binary.LittleEndian.Uint64(data)).String()), nil
}

// showNumber reads a REG_DWORD whose numbers have names.
func showNumber(names map[uint32]string) func([]byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
	return func(data []byte) (verdict.Fault, []verdict.Field, []verdict.Note) {
		if len(data) != 4 {
			return verdict.Fault{Detail: fmt.Sprintf("The value has %d bytes; a number has 4.", len(data))}, one(data, "content", verdict.Hex(data, 64)), nil
		}
		n := binary.LittleEndian.Uint32(data)
		name, ok := names[n]
		if !ok {
			return verdict.Fault{Detail: fmt.Sprintf("%d has no meaning here.", n)}, one(data, "number", fmt.Sprint(n)), nil
		}
		return verdict.Fault{}, one(data, "number", fmt.Sprintf("%d, %s", n, name)), nil
	}
}
