package mscert

import (
	"fmt"
	"strings"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive/cursor"
)

// Extension is an extension of a certificate. Its content is decoded only
// where its identifier is one of those below, and never has to be DER.
type Extension struct {
	OID      string
	Critical bool
	Span          // the whole extension
	Content  Span // what its OCTET STRING holds
}

// The extensions that Microsoft's licensing defines (MS-RDPELE 2.2.2.9).
const (
	oidManufacturer = "1.3.6.1.4.1.311.18.2"
	oidHydraVersion = "1.3.6.1.4.1.311.18.4"
	oidProduct      = "1.3.6.1.4.1.311.18.5"
	oidServerInfo   = "1.3.6.1.4.1.311.18.6"
	oidSpecific     = "1.3.6.1.4.1.311.18.7"
)

var extensionNames = map[string]string{
	oidManufacturer: "manufacturer", oidHydraVersion: "licensing version", oidProduct: "licensed product",
	oidServerInfo: "licence server", oidSpecific: "product-specific data",
	"2.5.29.14": "subject key identifier", "2.5.29.15": "key usage", "2.5.29.19": "basic constraints",
	"2.5.29.35": "authority key identifier", "2.5.29.37": "extended key usage",
}

// Product is the LICENSED_PRODUCT_INFO structure (MS-RDPELE 2.2.2.9): what was
// licensed.
type Product struct {
	Version       uint32 // of the structure, 0x3000
	Count         uint32 // of licences
	PlatformID    uint32
	LanguageID    uint32
	Requested     string // the product asked for, such as A02
	Adjusted      string // the product granted, such as A02-6.00-S
	Major, Minor  uint16 // of the licensed product
	Flags         uint32
	VersionsCount uint16 // how many version records follow; the first is decoded
}

// The flags of a licensed product (MS-RDPELE 2.2.2.9).
const (
	FlagEnforced  = 0x00008000
	FlagRTM       = 0x00800000 // clear: a beta version
	FlagTemporary = 0x80000000 // clear: a permanent licence
)

// Temporary tells whether the licence is one of those that a server gives
// before it has a real one.
func (p *Product) Temporary() bool { return p.Flags&FlagTemporary != 0 }

// ServerInfo is the MS_LICENSE_SERVER_INFO structure (MS-RDPELE 2.2.2.9): who
// issued the licence.
type ServerInfo struct {
	Version uint32
	Name    string // of the server; "" in version 1 of the structure
	ID      string // its identifier, such as 78440-006-5867045-70347
	Scope   string // workgroup or domain
}

func (p *parser) extensions(r *der.Reader) *der.Error {
	e, present, err := r.Optional(der.Context3, "extensions")
	if err != nil || !present {
		return err
	}
	p.field(2, "extensions", spanOf(e), fmt.Sprintf("%d bytes", e.Len()))
	inner := e.Children()
	list, err := inner.Expect(der.Sequence, "extensions")
	if err != nil {
		return err
	}
	if err := inner.Done("extensions"); err != nil {
		return err
	}
	for each := list.Children(); each.More(); {
		if err := p.extension(each); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) extension(r *der.Reader) *der.Error {
	e, err := r.Expect(der.Sequence, "extension")
	if err != nil {
		return err
	}
	inner := e.Children()
	id, err := inner.Expect(der.ObjectID, "extension")
	if err != nil {
		return err
	}
	x := Extension{Span: spanOf(e)}
	if x.OID, err = oidText(id); err != nil {
		return err
	}
	critical, present, err := inner.Optional(der.Boolean, "extension")
	if err != nil {
		return err
	}
	x.Critical = present && len(critical.Content()) == 1 && critical.Content()[0] != 0
	content, err := inner.Expect(der.OctetString, "extension "+x.OID)
	if err != nil {
		return err
	}
	if err := inner.Done("extension " + x.OID); err != nil {
		return err
	}
	if len(p.Extensions) == maxExtensions {
		return &der.Error{Offset: e.Offset, Detail: fmt.Sprintf("the certificate has more than %d extensions", maxExtensions)}
	}
	x.Content = Span{content.Start, content.End - content.Start}
	p.Extensions = append(p.Extensions, x)
	p.field(3, extensionName(x), x.Span, p.decodeExtension(x.OID, content.Content()))
	return nil
}

func extensionName(x Extension) string {
	name := "extension " + x.OID
	if s := extensionNames[x.OID]; s != "" {
		name = s + " (" + x.OID + ")"
	}
	if x.Critical {
		name += ", critical"
	}
	return name
}

// decodeExtension reads the content of the licensing extensions and returns
// text for people. Content that cannot be decoded is shown in hex: whether it
// is damaged is for the signature to say.
func (p *parser) decodeExtension(oid string, b []byte) string {
	switch oid {
	case oidManufacturer:
		p.Manufacturer = utf16z(b)
		return verdict.Text(p.Manufacturer)
	case oidHydraVersion:
		if v, ok := cursor.U32(b, 0); ok && len(b) == 4 {
			p.HydraVersion = v
			return fmt.Sprintf("%d.%d", v>>16, v&0xffff)
		}
	case oidProduct:
		if product, ok := decodeProduct(b); ok {
			p.Product = product
			return product.String()
		}
	case oidServerInfo:
		if info, ok := decodeServerInfo(b); ok {
			p.Server = info
			return info.String()
		}
	}
	return verdict.Hex(b, 256)
}

func (p *Product) String() string {
	kind := "permanent"
	if p.Temporary() {
		kind = "temporary"
	}
	return fmt.Sprintf("%s, granted as %s, version %d.%d, %s, flags %#08x, platform %#x, language %#x, count %d",
		verdict.Text(p.Requested), verdict.Text(p.Adjusted), p.Major, p.Minor, kind, p.Flags, p.PlatformID, p.LanguageID, p.Count)
}

func (s *ServerInfo) String() string {
	return fmt.Sprintf("server %s, id %s, scope %s", verdict.Text(s.Name), verdict.Text(s.ID), verdict.Text(s.Scope))
}

// decodeProduct reads a LICENSED_PRODUCT_INFO. Offsets in it count from its
// start.
func decodeProduct(b []byte) (*Product, bool) {
	c := cursor.New(b)
	var n [4]uint32
	for i := range n {
		v, err := c.U32()
		if err != nil {
			return nil, false
		}
		n[i] = v
	}
	var h [6]uint16
	for i := range h {
		v, err := c.U16()
		if err != nil {
			return nil, false
		}
		h[i] = v
	}
	requested, ok1 := cursor.Sub(b, uint64(h[0]), uint64(h[1]))
	adjusted, ok2 := cursor.Sub(b, uint64(h[2]), uint64(h[3]))
	version, ok3 := cursor.Sub(b, uint64(h[4]), 8)
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	p := &Product{
		Version: n[0], Count: n[1], PlatformID: n[2], LanguageID: n[3],
		Requested: utf16z(requested), Adjusted: utf16z(adjusted), VersionsCount: h[5],
	}
	p.Major, _ = cursor.U16(version, 0)
	p.Minor, _ = cursor.U16(version, 2)
	p.Flags, _ = cursor.U32(version, 4)
	return p, true
}

// decodeServerInfo reads a MS_LICENSE_SERVER_INFO. Version 1 has no server
// name. Offsets count from the end of the offsets.
func decodeServerInfo(b []byte) (*ServerInfo, bool) {
	version, ok := cursor.U32(b, 0)
	if !ok {
		return nil, false
	}
	s := &ServerInfo{Version: version}
	parts := []*string{&s.Name, &s.ID, &s.Scope}
	if version < 0x3000 {
		parts = parts[1:]
	}
	data := uint64(4 + 2*len(parts))
	for i, part := range parts {
		off, ok := cursor.U16(b, uint64(4+2*i))
		if !ok || data+uint64(off) > uint64(len(b)) {
			return nil, false
		}
		*part = utf16z(b[data+uint64(off):])
	}
	return s, true
}

// utf16z returns the UTF-16LE text in b up to its first NUL.
func utf16z(b []byte) string {
	s, _, _ := strings.Cut(cursor.String(b), "\x00")
	return s
}
