package encode

import (
	"math/big"
	"time"
)

// This file puts Microsoft's own samples together again from their fields. What
// cannot be made (public keys and signatures of keys that nobody here has) is
// quoted from the Open Specifications. That the result is the sample, byte for
// byte, proves the encoders.

var (
	sampleProprietaryModulus = fromLittleEndian(mustHex("" +
		"cb81feba6d61c35505d55f2e87f87194d6f1a5cbf15f0c3df8700296c4fb9bc83c2d55aee8ff3275ea6879e5a201fd31a0b11f55a61fc1f6d1838863265612bc"))
	sampleExampleModulus = fromLittleEndian(mustHex("" +
		"affe36f2c5a1442e47c131a7dbc6670264715c00c9b6b304d0899fe76b24e8e8e52d0b13a90c6d4d915ee8f6b31717e39fc54d4abafab92a1bfb10dd918c60b7"))
	sampleServerModulus = new(big.Int).SetBytes(mustHex("" +
		"88ad7c8f8b82765abd8f6f6218e1d9aa41fded6801c63435b02904ca4a4a1c7e8014f78e77b825ff16476fbde2343d2e02b953e43375ad732880a04dfc6cc022" +
		"531b2cf8f50160197e7919398db5ce3958dd55243b557b43c17f142fb0643a54952b88490c612dacf845f5da88185fae42f875c7266db5bb396fcc551b321138" +
		"8de4e944841136a26176aa4cb4e3550fe4778edee3a9eab741940058aac934a298c6011a761401a8dc307c775a20715aa23faf137ee8fd84a25bcf25e9c78fa8" +
		"f28b84c7045e53734e0e89a33ce7685c24b780533c54c8c153aa71713d3615d66a9d7ddeaef9e6af57aeb901965de04dcdedc8d7f301033810be7c426701a723"))
	sampleTerminalModulus = new(big.Int).SetBytes(mustHex("" +
		"c8906bf0c65881a6891c0ef2f6d9821271a56e51dbe03266aa91770e88ab44b7d397da788f0e4426467f16d4c663ebca55e54e8b2da66d8395a7a86afad0be26" +
		"80aeab0a6490328cdf5cf8f9d07ed16b3a297e7dbd02a3866cfda53571da21b4eea497f3a8b212dba4275736c908225c54f7997ba32fb85cd516b819276b7197" +
		"145be81f23e85cb81b734b6e7a0313ff97e962b94aa05123c36c323e02f26397231cc578d8fcb7074bb0560f74dfc55628e496fd208e655ae645edc1053eab58" +
		"5540afe247a04c49a38d39e3665f93336df85fc554e5fb573ade4512b5c7054b881fb4350f7cc07517c667dd4880cb0abe9df693606534eb97af656ddfbf6f5b"))
	sampleChainRootSignature = mustHex("" +
		"81ddd2d333d4a3b68e6e7d9ffd739f310bdd42823f7e21df28cc59ca6ac0a93d307de191db776b8b10e6fdbc3ca35848c236dda00bf58e13da7b040844b4f2a8" +
		"0d1e0b1d1a3ff99b4b5a54c5b3b4039375b3725c3dcf630f15e16458de528d97790ea434d5660558b86e79b20986d5f0edc46b4cab02b8165f3bed885fd1de44" +
		"e3734721f703cee16d100f95cf7ca27aa6bf20dbe19304c85e6abec8015d27b2030f6675e7cbea8d4e989d22ed2840d27da44befccbf012a6d3a3ebe4738f8ea" +
		"a4c6301d5e25cffbe83d42dd29e899899ebf39ee7709d93e8b5236b6bb8bbd0db252aa2ccf384e4dcf1d6d5d2517ac2cf6f0655ac9fe3153b4f00c944e0d548e")
	sampleChainLeafSignature = mustHex("" +
		"2eebc70db81d47119d09889b51dc45dd5651e2d12311399b2ddac7fe7ad784e33d5477974d19923064a047c62f6d93d2647c76c82645ad5a4454eaf64b28771f" +
		"77eaec740238689e79147283347462d2c10ca40bf2a9b038bb7cd0aebebf744716a0a2d3fc1db9ba261006efba1d43014e4e6f56cae0eed0f94ea66263ffda0b" +
		"c915616ced6b0bc45853860f8c0c1a2edfc1f24348d4af0a7836b25132286cc275793f6e9966883e34d37f6d9d07e46beb84e20abbca7d3a4071b0be479f1258" +
		"31612b9b4a9a498fe5b40cf5044d3ccebcd27915d928f42356779f38643e038892042676b9b5df19d0784b7a60402391f115222bb4e70254a916215b6096a95c")
	sampleRootSignature = mustHex("" +
		"70db212b849a7ac3b168fac0008b71ab439fb67bb71f2083ac0ab50eadb636ef651799868a3dba0c532ea375a0f3113de7654bae3c427011dcca83c0be3e9771" +
		"8469d6a827339b3e173ca04c64ca2037a411a9288fb7189669150d7404752a00c7a66abeacb3f2fb061b6c11bd96e234745df5988f3a8d69086f53124e398090" +
		"ce8b5e88232dfd55fd583d3927b37c57fe3bab622660e2d0c8f4022316c3525d9f0549a2712d6d5b90ddbfe5a92ef1858a8ab8a96b13cc8d4c2241ad321e3b4b" +
		"893766df1ea54a03521cd9197922d4a73b4793a90c036ad85ffcc07533e526daf74a77d8f1308039381e861d97009c0eba00548ac012326f3dc415f950f8ce95")
	sampleLicenceSignature = mustHex("" +
		"131bdc89d2fc540cee8245686a72c33e177396534439500e0b9f95d62c6b53149ce555ed65df2aeb5c6485701fbc96cfa376b1723be1f6adadad2a14afbad0d6" +
		"d56d55ec1ec34bba069c59789364874b03f9ee4cdd365bbdd4e54c4eda7bc1ae23289e776f0fe694fe052200ab635be18245a6ec1f6f2c7b56de78257d10600e" +
		"53424b6c7a6b5dc9d5a6aec8c85229d6425602ecf923a88c8d89c97c8407fc33e11eeae28f2bbe8fa9d3d1e15e0bdcb6436e330af42e9d0cc9585434aae1d2a2" +
		"e490022326a09226260a83b44dd94befeb9da9243f928bdb047b9d6491a44bd26e510508c991af31265521b1eacea3a40d5e4c46db162d98dc6019b81bb9cdfb")
)

var sampleExponent = big.NewInt(65537)

// SampleProprietary returns the server certificate of [MS-RDPBCGR] 4.1.4.
func SampleProprietary() []byte {
	return NewProprietary(Key{N: sampleProprietaryModulus, E: sampleExponent}).Encode()
}

// SampleProprietaryExample returns a certificate of the public key that
// [MS-RDPBCGR] 5.3.3.1.2 uses as its example.
func SampleProprietaryExample() []byte {
	return NewProprietary(Key{N: sampleExampleModulus, E: sampleExponent}).Encode()
}

// sampleServer is the licence server of the samples in [MS-RDPELE] 4.
func sampleServer(notBefore, notAfter time.Time) LicenseServer {
	return LicenseServer{
		Name: "RODENT", Scope: "WORKGROUP", ProductID: "78440-006-5867045-70347",
		Key: Key{N: sampleServerModulus, E: sampleExponent}, NotBefore: notBefore, NotAfter: notAfter,
	}
}

// SampleChain returns the certificate chain of [MS-RDPELE] 4.1: a temporary one
// of two certificates.
func SampleChain() []byte {
	server := sampleServer(time.Date(1970, 5, 27, 1, 11, 3, 0, time.UTC), time.Date(2049, 5, 27, 1, 11, 3, 0, time.UTC))
	root := server.Certificate()
	// Its time has a fraction of a second that the certificate itself does not hold.
	root.Serial = new(big.Int).SetUint64(0x019e24a2f2ae9080)
	root.Signature = sampleChainRootSignature
	leaf := server.ServerCertificate("RODENT", 0x0100000002, Key{N: sampleTerminalModulus, E: sampleExponent},
		mustHex("d4170a79b8695d9b4ba8eed242706945fb9d75d6"), time.Date(2007, 5, 26, 12, 45, 53, 0, time.UTC))
	leaf.Signature = sampleChainLeafSignature
	return Chain(true, root.Encode(), leaf.Encode())
}

// SampleLicence returns the licence of [MS-RDPELE] 4.3: a temporary one.
func SampleLicence() []byte {
	server := sampleServer(time.Date(1970, 5, 30, 10, 36, 18, 0, time.UTC), time.Date(2049, 5, 30, 10, 36, 18, 0, time.UTC))
	root := server.Certificate()
	root.Serial = new(big.Int).SetUint64(0x019e274d68aced20)
	root.Signature = sampleRootSignature
	leaf := server.LicenceCertificate(Licence{
		Computer: "RODENT", User: "Administrator", Serial: 0x030000000f, ID: mustHex("d4170a79dcb692b3b8fcc0832c8d401d970f89ab"),
		NotBefore: time.Date(2007, 6, 20, 14, 51, 35, 0, time.UTC), NotAfter: time.Date(2007, 9, 18, 14, 51, 35, 0, time.UTC),
		Requested: "A02", Adjusted: "A02-6.00-S", Major: 6, Temporary: true,
	})
	leaf.Signature = sampleLicenceSignature
	return ClientLicense(root.Encode(), leaf.Encode())
}
