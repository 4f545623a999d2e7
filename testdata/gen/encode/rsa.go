package encode

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"sync"
)

// Key is an RSA key. D is nil where only the public half is known.
type Key struct {
	N, E, D *big.Int
}

var (
	keysMu sync.Mutex
	keys   = map[string]func() Key{}
)

// NewKey returns the RSA key of bits bits and exponent 65537 that belongs to
// label. The same label and length always give the same key. bits is a
// multiple of 16, 512 or more. (crypto/rsa can neither be seeded nor make keys
// as short as Windows 2003 uses.)
func NewKey(label string, bits int) Key {
	id := fmt.Sprintf("%s/%d", label, bits)
	keysMu.Lock()
	find, ok := keys[id]
	if !ok {
		find = sync.OnceValue(func() Key { return findKey(id, bits) })
		keys[id] = find
	}
	keysMu.Unlock()
	return find()
}

func findKey(id string, bits int) Key {
	one := big.NewInt(1)
	e := big.NewInt(65537)
	for try := 0; ; try++ {
		p := findPrime(fmt.Sprintf("%s/%d/p", id, try), bits/2)
		q := findPrime(fmt.Sprintf("%s/%d/q", id, try), bits/2)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d := new(big.Int).ModInverse(e, phi); d != nil && p.Cmp(q) != 0 {
			return Key{N: new(big.Int).Mul(p, q), E: e, D: d}
		}
	}
}

// findPrime returns the first prime from a start that label gives. The two top
// bits are set, so that a product of two such primes has its full length.
func findPrime(label string, bits int) *big.Int {
	start := Stream("prime/"+label, bits/8)
	start[0] |= 0xc0
	start[len(start)-1] |= 1
	p := new(big.Int).SetBytes(start)
	rests := restsOf(p)
	step := big.NewInt(2)
	for offset := uint64(0); ; offset, p = offset+2, p.Add(p, step) {
		// 0 rounds leave the Baillie-PSW test, to which no composite number is
		// known that passes; it draws no random numbers.
		if !divides(rests, offset) && p.ProbablyPrime(0) {
			return p
		}
	}
}

// sievePrimes are the odd primes by which candidates are divided first: doing
// so spares most of them the costly test.
var sievePrimes = sync.OnceValue(func() []uint64 {
	var primes []uint64
next:
	for n := uint64(3); n < 1<<13; n += 2 {
		for _, p := range primes {
			if p*p > n {
				break
			}
			if n%p == 0 {
				continue next
			}
		}
		primes = append(primes, n)
	}
	return primes
})

// restsOf returns what is left of n when it is divided by each of sievePrimes.
func restsOf(n *big.Int) []uint64 {
	var divisor, rest big.Int
	var rests []uint64
	for _, p := range sievePrimes() {
		rests = append(rests, rest.Mod(n, divisor.SetUint64(p)).Uint64())
	}
	return rests
}

// divides reports whether one of sievePrimes divides the number that is offset
// above the one with these rests.
func divides(rests []uint64, offset uint64) bool {
	for i, p := range sievePrimes() {
		if (rests[i]+offset)%p == 0 {
			return true
		}
	}
	return false
}

// Size is the length of the modulus in bytes.
func (k Key) Size() int { return (k.N.BitLen() + 7) / 8 }

// littleEndian returns n as size bytes, lowest first.
func littleEndian(n *big.Int, size int) []byte {
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

func fromLittleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// Hash is a hash in a PKCS #1 v1.5 signature.
type Hash int

// The hashes.
const (
	SHA1 Hash = iota
	SHA256
	MD5
)

var digestInfoPrefixes = map[Hash]string{
	SHA1:   "3021300906052b0e03021a05000414",
	SHA256: "3031300d060960864801650304020105000420",
	MD5:    "3020300c06082a864886f70d020505000410",
}

func (h Hash) sum(data []byte) []byte {
	switch h {
	case SHA1:
		sum := sha1.Sum(data)
		return sum[:]
	case SHA256:
		sum := sha256.Sum256(data)
		return sum[:]
	}
	sum := md5.Sum(data)
	return sum[:]
}

// Sign returns the PKCS #1 v1.5 signature of data (RFC 8017, 8.2.1), as long
// as the modulus, highest byte first.
func (k Key) Sign(h Hash, data []byte) []byte {
	prefix, err := hex.DecodeString(digestInfoPrefixes[h])
	if err != nil {
		panic(err)
	}
	info := append(prefix, h.sum(data)...)
	em := append([]byte{0, 1}, bytesOf(0xff, k.Size()-len(info)-3)...)
	em = append(append(em, 0), info...)
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, k.D, k.N).FillBytes(make([]byte, k.Size()))
}

func bytesOf(b byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func mustHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}
