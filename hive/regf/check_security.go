package regf

import (
	"hivemend/hive"
)

// securityCheck counts how many keys refer to each security record.
type securityCheck struct {
	users map[cellOffset]*securityUse
	last  cellOffset
	use   *securityUse // of last: most keys use the record of the key before
	ring  []cellOffset // records in the order in which they were met
}

// securityUse is what is known of one security record.
type securityUse struct {
	keys   uint32
	inRing bool
}

// countSecurity notes that a key refers to a security record.
func (c *checker) countSecurity(off, at cellOffset) {
	s := &c.security
	if at == s.last && s.use != nil {
		s.use.keys++
		return
	}
	if use := s.users[at]; use != nil {
		use.keys++
		s.last, s.use = at, use
		return
	}
	record, err := c.Image.security(at)
	if record == nil {
		_, _, f := c.raw(at)
		if !f.readable() {
			c.badReference("NK14", hive.DamageFatal, at, off+nkSecurityField, off, "security record")
			return
		}
		if payload, _, _ := c.raw(at); len(payload) < skSize || string(sk(payload).signature()) != "sk" {
			c.issue("NK14", hive.DamageFatal, off+nkSecurityField, off, "%v", err)
			return
		}
	}
	use := c.addSecurity(at, off)
	use.keys = 1
	s.last, s.use = at, use
}

// addSecurity notes a security record that was not met before.
func (c *checker) addSecurity(at, key cellOffset) *securityUse {
	if c.security.users == nil {
		c.security.users = map[cellOffset]*securityUse{}
	}
	use := &securityUse{}
	c.security.users[at] = use
	c.security.ring = append(c.security.ring, at)
	c.claim(at, key)
	return use
}

// checkSecurity examines the security records once all keys are counted.
func (c *checker) checkSecurity() {
	if len(c.security.ring) == 0 {
		return
	}
	c.checkRing(c.security.ring[0])
	identical := map[string]cellOffset{}
	for _, at := range c.security.ring {
		payload, _, _ := c.raw(at)
		s := sk(payload)
		use := c.security.users[at]
		if !use.inRing {
			c.issue("SK01", hive.DamageFatal, at, noCell, "want the record in the ring of security records, found it outside")
		}
		switch refs := s.references(); {
		case refs < use.keys:
			c.issue("SK02", hive.DamageFatal, at+cellHeaderSize+12, noCell, "want %d references, found %d", use.keys, refs)
		case use.keys == 0:
			c.issue("SK05", hive.DamageAnomaly, at, noCell, "want a key that uses the record, found none")
		case refs > use.keys:
			c.issue("SK03", hive.DamageAnomaly, at+cellHeaderSize+12, noCell, "want %d references, found %d", use.keys, refs)
		}
		if uint64(s.descriptorLength()) > uint64(len(s)-skSize) {
			c.issue("SK04", hive.DamageFatal, at+cellHeaderSize+16, noCell, "want a descriptor of at most %d bytes, found %d", len(s)-skSize, s.descriptorLength())
			continue
		}
		descriptor := s.descriptor()
		if problem := descriptorProblem(descriptor); problem != "" {
			c.issue("SK04", hive.DamageFatal, at+cellHeaderSize+skSize, noCell, "want a security descriptor, found %s", problem)
		}
		if first, ok := identical[string(descriptor)]; ok {
			c.issue("SK06", hive.DamageInfo, at, noCell, "the descriptor is the same as that at %s", first.file())
		} else {
			identical[string(descriptor)] = at
		}
	}
}

// checkRing follows the ring of security records round once.
func (c *checker) checkRing(start cellOffset) {
	for at := start; ; {
		use := c.security.users[at]
		if use == nil {
			use = c.addSecurity(at, noCell)
		}
		use.inRing = true
		payload, _, _ := c.raw(at)
		next := sk(payload).next()
		following, _, f := c.raw(next)
		switch {
		case !f.readable():
			c.issue("SK01", hive.DamageFatal, at+cellHeaderSize+4, noCell, "want the next security record, found %s (%s)", f, next)
			return
		case len(following) < skSize || string(sk(following).signature()) != "sk":
			c.issue("SK01", hive.DamageFatal, at+cellHeaderSize+4, noCell, "want the next security record, found none at %s", next)
			return
		case sk(following).previous() != at:
			c.issue("SK01", hive.DamageFatal, next+cellHeaderSize+8, noCell, "want the record before, %s, found %s", at, sk(following).previous())
		}
		if next == start {
			return
		}
		if use := c.security.users[next]; use != nil && use.inRing {
			c.issue("SK01", hive.DamageFatal, at+cellHeaderSize+4, noCell, "want a ring through %s, found one that leads back to %s", start, next)
			return
		}
		at = next
	}
}
