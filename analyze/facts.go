package analyze

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"hivemend/hive"
)

// Windows is the version of Windows that a machine runs.
type Windows struct {
	Product string `json:"product"` // as the registry names it
	Version string `json:"version"` // such as "5.2" or "10.0"; "" when unknown
	Build   string `json:"build"`
	// Source says what Version was read from or, where only Era is known, what
	// gave it away; "" when neither is known.
	Source string `json:"-"`
	Era    Era    `json:"-"`
	// ServicePack is CSDVersion, such as "Service Pack 4".
	ServicePack string `json:"-"`
	// ProductType is "WinNT" for a workstation, "ServerNT" or "LanmanNT" for
	// a server, "" when unknown.
	ProductType string `json:"-"`
}

// Era says where a version of Windows keeps the certificates of Terminal
// Services.
type Era int

// The eras.
const (
	EraUnknown Era = iota
	EraNT5         // up to 2000, XP and 2003: Services\TermService\Parameters
	EraNT6         // Vista, 2008 and later: Control\Terminal Server\RCM
)

// Name returns the version in words, such as "Windows Server 2003" as the
// registry names it, or what is known instead.
func (w Windows) Name() string {
	switch {
	case w.Product != "":
		return w.Product
	case w.Version != "":
		return "Windows " + w.Version
	case w.Era == EraNT5:
		return "Windows 2000, XP or Server 2003"
	case w.Era == EraNT6:
		return "Windows Vista, Server 2008 or later"
	}
	return "an unknown version of Windows"
}

// Server reports whether the machine is known to run a server edition.
func (w Windows) Server() bool {
	return hive.EqualFold(w.ProductType, "ServerNT") || hive.EqualFold(w.ProductType, "LanmanNT")
}

// Facts are what every rule may want to know about the machine.
type Facts struct {
	Computer string // the computer's name, "" when unknown
	Windows  Windows
	Roles    []string // of "session-host", "license-server", "client"
	TimeZone string
	// MachineGuid is SOFTWARE\Microsoft\Cryptography\MachineGuid, "" when unknown.
	MachineGuid string
	// Systems are the SYSTEM trees with their control sets.
	Systems []System
	// AllSets is set where every control set is in scope.
	AllSets bool
}

// System is one SYSTEM tree and what it says about its control sets.
type System struct {
	Root Place
	Sets hive.ControlSets
}

// readFacts looks the facts up.
func readFacts(m *hive.Machine, opt Options, s *seen) *Facts {
	f := &Facts{Computer: m.ComputerName, AllSets: opt.AllControlSets}
	for _, root := range roots(m, hive.System, s) {
		live := root.Input.Kind == hive.Reg
		f.Systems = append(f.Systems, System{root, hive.FindControlSets(root.Key, live)})
	}
	software := roots(m, hive.Software, s)
	for _, set := range f.current() {
		f.readSystem(set)
	}
	f.readVersion(software)
	for _, root := range software {
		if f.MachineGuid == "" {
			f.MachineGuid = root.Sub("Microsoft", "Cryptography").Text("MachineGuid")
		}
	}
	f.Roles = readRoles(f.current(), software)
	return f
}

// roots returns the places of the trees of that kind.
func roots(m *hive.Machine, kind hive.Kind, s *seen) []Place {
	var places []Place
	for _, r := range m.Roots(kind) {
		if r.Root.Valid() {
			places = append(places, Place{Input: r.Input, Path: r.Prefix, prefix: len(r.Prefix), Key: r.Root, InScope: true, known: true, seen: s})
		}
	}
	return places
}

// current returns the control set to judge of every SYSTEM tree that has one.
func (f *Facts) current() []Place {
	var places []Place
	for _, sys := range f.Systems {
		if sys.Sets.Current.Key.Valid() {
			places = append(places, sys.set(sys.Sets.Current, true))
		}
	}
	return places
}

// set returns the place of a control set.
func (sys System) set(cs hive.ControlSet, inScope bool) Place {
	pl := sys.Root.at(cs.Key)
	pl.Set, pl.InScope = cs.Name, inScope
	return pl
}

// sets returns every control set: first the current one, then the one that
// boots next where that is another, then the rest.
func (sys System) sets(all bool) []Place {
	var places []Place
	done := map[uint32]bool{}
	add := func(cs hive.ControlSet, inScope bool) {
		if cs.Key.Valid() && !done[cs.Number] {
			done[cs.Number] = true
			places = append(places, sys.set(cs, inScope))
		}
	}
	add(sys.Sets.Current, true)
	add(sys.Sets.Next, true)
	for _, cs := range sys.Sets.All {
		add(cs, all)
	}
	return places
}

// readSystem takes what a control set says about the computer, where nothing
// is known yet.
func (f *Facts) readSystem(set Place) {
	control := set.Sub("Control")
	if f.Computer == "" {
		f.Computer = control.Sub("ComputerName", "ComputerName").Text("ComputerName")
	}
	zone := control.Sub("TimeZoneInformation")
	if f.TimeZone == "" {
		f.TimeZone = zone.Text("TimeZoneKeyName")
	}
	if f.TimeZone == "" {
		f.TimeZone = zone.Text("StandardName")
	}
	if f.Windows.ProductType == "" {
		f.Windows.ProductType = control.Sub("ProductOptions").Text("ProductType")
	}
}

// readVersion takes the version from SOFTWARE or, failing that, the era from
// what SYSTEM shows.
func (f *Facts) readVersion(software []Place) {
	for _, root := range software {
		f.Windows.read(root.Sub("Microsoft", "Windows NT", "CurrentVersion"))
		if f.Windows.Version != "" {
			return
		}
	}
	for _, set := range f.current() {
		if f.Windows.guess(set); f.Windows.Era != EraUnknown {
			return
		}
	}
}

// read takes the version from SOFTWARE's CurrentVersion key. Windows 10 and
// later keep "6.3" in CurrentVersion and the truth in two numbers beside it.
func (w *Windows) read(key Place) {
	version := key.Text("CurrentVersion")
	if major, ok := key.DWORD("CurrentMajorVersionNumber"); ok {
		minor, _ := key.DWORD("CurrentMinorVersionNumber")
		version = strconv.FormatUint(uint64(major), 10) + "." + strconv.FormatUint(uint64(minor), 10)
	}
	era := eraOf(version)
	if era == EraUnknown {
		return
	}
	w.Version, w.Era, w.Source = version, era, `SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	w.Product, w.ServicePack = key.Text("ProductName"), key.Text("CSDVersion")
	if w.Build = key.Text("CurrentBuildNumber"); w.Build == "" {
		w.Build = key.Text("CurrentBuild")
	}
}

func eraOf(version string) Era {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.ParseUint(major, 10, 16)
	switch {
	case err != nil || n < 3:
		return EraUnknown
	case n < 6:
		return EraNT5
	}
	return EraNT6
}

// guess tells the era by keys that only one of the two has: RCM and
// ProductOptions\ProductPolicy came with Windows Vista.
func (w *Windows) guess(set Place) {
	ts := set.Sub("Control", "Terminal Server")
	options := set.Sub("Control", "ProductOptions")
	switch {
	case ts.Sub("RCM").Exists():
		w.Era, w.Source = EraNT6, `SYSTEM has Control\Terminal Server\RCM`
	case hasValue(options, "ProductPolicy"):
		w.Era, w.Source = EraNT6, `SYSTEM has Control\ProductOptions\ProductPolicy`
	case options.Exists() && options.ValueAbsent("ProductPolicy") && ts.Sub("RCM").Absent() && set.Sub("Services").Exists():
		w.Era, w.Source = EraNT5, `SYSTEM has neither Control\Terminal Server\RCM nor Control\ProductOptions\ProductPolicy`
	}
}

func hasValue(pl Place, name string) bool { _, ok := pl.Value(name); return ok }

// readRoles tells what the machine does in Remote Desktop licensing. A server
// in application mode has TSAppCompat 1; only such a one is ever given a
// certificate chain by a licence server.
func readRoles(sets, software []Place) []string {
	var roles []string
	add := func(role string, is bool) {
		if is && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	for _, set := range sets {
		ts := set.Sub("Control", "Terminal Server")
		appMode, _ := ts.DWORD("TSAppCompat")
		add("session-host", appMode == 1 || hasValue(ts.Sub("RCM"), "X509 Certificate") ||
			hasValue(set.Sub("Services", "TermService", "Parameters"), "X509 Certificate"))
	}
	for _, set := range sets {
		add("license-server", set.Sub("Services", "TermServLicensing").Exists())
	}
	for _, root := range software {
		add("client", root.Sub("Microsoft", "MSLicensing").Exists() || root.Sub("Wow6432Node", "Microsoft", "MSLicensing").Exists())
	}
	return roles
}

// maxWalk bounds the search for the newest key, in keys.
const maxWalk = 1 << 20

// lastLife returns the newest moment that the machine's hives know of: the last
// shutdown, the newest key write, and the times of the base blocks. 0 when
// they know none.
func lastLife(m *hive.Machine, f *Facts) hive.FileTime {
	var newest hive.FileTime
	for _, set := range f.current() {
		newest = max(newest, shutdownTime(set))
	}
	for _, in := range m.Inputs {
		newest = max(newest, in.LastWrite)
		budget := maxWalk
		for _, mount := range in.Mounts {
			if in.Kind == hive.Regf && mount.Root.Valid() {
				newest = max(newest, newestWrite(mount.Root, 0, &budget))
			}
		}
	}
	return newest
}

func shutdownTime(set Place) hive.FileTime {
	v, ok := set.Sub("Control", "Windows").Value("ShutdownTime")
	if !ok {
		return 0
	}
	data, err := v.Data()
	if err != nil || len(data) != 8 {
		return 0
	}
	return hive.FileTime(binary.LittleEndian.Uint64(data))
}

func newestWrite(k hive.Key, depth int, budget *int) hive.FileTime {
	newest := k.LastWrite()
	if depth >= hive.MaxDepth {
		return newest
	}
	for sub := range k.Subkeys() {
		if *budget--; *budget < 0 {
			return newest
		}
		newest = max(newest, newestWrite(sub, depth+1, budget))
	}
	return newest
}
