package mscert

import (
	"bytes"
	"fmt"

	"hivemend/analyze/internal/verdict"
)

// NoParent stands for the issuer of a certificate whose issuer is not there.
const NoParent = -1

// Judgement says whether certificates fit together.
type Judgement struct {
	// Fault is the first of the causes issuer, key, date and signature that
	// holds, each looked for in all certificates before the next.
	verdict.Fault
	Certificate int // the index of the certificate at fault, -1 when healthy
	// Notes are complete only where there is no fault but of the signature.
	Notes []verdict.Note
}

// Judge checks certs. parents holds for each the index of the certificate
// that is to have issued it, its own index for a root, or NoParent. order
// lists the indices from roots to leaves.
func Judge(certs []*Certificate, parents, order []int) Judgement {
	j := Judgement{Certificate: -1}
	for _, check := range []func(*Judgement, []*Certificate, int, int) verdict.Fault{
		judgeIssuer, judgeKey, judgeDate, judgeSignature,
	} {
		for _, i := range order {
			if f := check(&j, certs, i, parents[i]); !f.Healthy() && j.Healthy() {
				j.Fault, j.Certificate = f, i
			}
		}
		if !j.Healthy() {
			break // no need to check signatures
		}
	}
	return j
}

func judgeIssuer(_ *Judgement, certs []*Certificate, i, parent int) verdict.Fault {
	if parent == NoParent {
		return verdict.Fault{}
	}
	c, p := certs[i], certs[parent]
	if bytes.Equal(c.Issuer.Raw, p.Subject.Raw) {
		return verdict.Fault{}
	}
	f := verdict.Fault{Cause: verdict.Issuer, FailingOffset: c.Issuer.Offset, FailingLength: c.Issuer.Length}
	if parent == i {
		f.Detail = fmt.Sprintf("Certificate %d is to be its own issuer, but names %s as issuer and %s as subject.", i, c.Issuer, c.Subject)
	} else {
		f.Detail = fmt.Sprintf("Certificate %d names %s as issuer, but its issuer is called %s.", i, c.Issuer, p.Subject)
	}
	return f
}

func judgeKey(j *Judgement, certs []*Certificate, i, _ int) verdict.Fault {
	c := certs[i]
	if c.Key != nil && c.Key.Bits < 1024 {
		j.Notes = append(j.Notes, verdict.Note{Kind: verdict.Weak, Offset: c.Key.ModulusSpan.Offset, Length: c.Key.ModulusSpan.Length,
			Detail: fmt.Sprintf("The key of certificate %d has only %d bits.", i, c.Key.Bits)})
	}
	return inCertificate(c.keyFault, i)
}

func judgeDate(_ *Judgement, certs []*Certificate, i, _ int) verdict.Fault {
	return inCertificate(certs[i].dateFault, i)
}

func judgeSignature(j *Judgement, certs []*Certificate, i, parent int) verdict.Fault {
	c := certs[i]
	note := func(kind verdict.NoteKind, at Span, format string, args ...any) {
		j.Notes = append(j.Notes, verdict.Note{Kind: kind, Detail: fmt.Sprintf(format, args...), Offset: at.Offset, Length: at.Length})
	}
	if signatureAlgorithms[c.SignedAlgorithm] == &md5Hash {
		note(verdict.Weak, c.AlgorithmRaw, "The signature of certificate %d is over MD5.", i)
	}
	if parent == NoParent {
		note(verdict.Unverifiable, c.Signature, "The signature of certificate %d cannot be checked: its issuer %s is not there.", i, c.Issuer)
		return verdict.Fault{}
	}
	key := certs[parent].Key
	if key == nil {
		if certs[parent].keyUnknown {
			note(verdict.Unverifiable, c.Signature, "The signature of certificate %d cannot be checked: its issuer's key is of an unknown algorithm.", i)
		}
		return verdict.Fault{}
	}
	state, detail, intact := c.checkSignature(key)
	switch state {
	case unverifiable:
		note(verdict.Unverifiable, c.Signature, "The signature of certificate %d cannot be checked: %s.", i, detail)
	case failed:
		at := c.Signature
		if intact {
			at = c.TBS
		}
		return inCertificate(verdict.Fault{Cause: verdict.Signature, Detail: "The signature does not verify: " + detail + ".", FailingOffset: at.Offset, FailingLength: at.Length}, i)
	}
	return verdict.Fault{}
}

// inCertificate adds to a fault in which certificate it lies.
func inCertificate(f verdict.Fault, i int) verdict.Fault {
	if !f.Healthy() {
		f.Detail = fmt.Sprintf("Certificate %d: %s", i, f.Detail)
	}
	return f
}

// ownIssuer tells whether c is to be its own issuer: it says so, or its own
// key signed it before it was damaged. One damaged byte in either name must not
// turn a root into a stranger.
func (c *Certificate) ownIssuer() bool { return c.SelfIssued() || c.damagedSince(c.Key) }

// ChainParents returns the parents of certificates that stand in order from
// root to leaf, and that order. The first has no parent if it is not its own
// issuer, unless there are just two: then it is to be (MS-RDPELE 2.2.1.4.2).
func ChainParents(certs []*Certificate) (parents, order []int) {
	for i, c := range certs {
		order = append(order, i)
		if i == 0 && len(certs) != 2 && !c.ownIssuer() {
			parents = append(parents, NoParent)
		} else {
			parents = append(parents, max(i-1, 0))
		}
	}
	return parents, order
}

// maxKeyTrials is up to how many certificates an issuer is looked for by
// trying keys, where its name is not found.
const maxKeyTrials = 8

// maxTrialBag is up to how many certificates one of several issuers of the
// same name is chosen by trying keys.
const maxTrialBag = 32

// BagParents returns the parents of certificates that stand in any order, and
// an order from roots to leaves. An issuer is found by its name, or else, of
// a damaged certificate, by which key made the signature.
func BagParents(certs []*Certificate) (parents, order []int) {
	for i, c := range certs {
		parents = append(parents, bagParent(certs, i, c))
	}
	return parents, rootsFirst(parents)
}

func bagParent(certs []*Certificate, i int, c *Certificate) int {
	if c.SelfIssued() {
		return i
	}
	var named []int
	for p, candidate := range certs {
		if p != i && bytes.Equal(candidate.Subject.Raw, c.Issuer.Raw) {
			named = append(named, p)
		}
	}
	if len(named) > 1 {
		// A licence server that renewed its certificate has two of one name.
		if len(certs) > maxTrialBag {
			return NoParent
		}
		for _, p := range named[:min(len(named), maxKeyTrials)] {
			if key := certs[p].Key; key != nil && c.opens(key) {
				return p
			}
		}
	}
	if len(named) > 0 {
		return named[0]
	}
	if len(certs) > maxKeyTrials {
		return NoParent
	}
	for p, candidate := range certs {
		if c.damagedSince(candidate.Key) {
			return p
		}
	}
	return NoParent
}

// rootsFirst orders indices by their distance from a root; those in a circle
// come last.
func rootsFirst(parents []int) []int {
	depth := make([]int, len(parents))
	deepest := 0
	for i := range parents {
		for at := i; parents[at] != at && parents[at] != NoParent && depth[i] <= len(parents); at = parents[at] {
			depth[i]++
		}
		deepest = max(deepest, depth[i])
	}
	var order []int
	for d := 0; d <= deepest; d++ {
		for i := range parents {
			if depth[i] == d {
				order = append(order, i)
			}
		}
	}
	return order
}
