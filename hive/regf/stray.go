package regf

func (im *Image) findStrays() *map[cellOffset]cellOffset {
	m := map[cellOffset]cellOffset{}
	im.strays.CompareAndSwap(nil, &m)
	return im.strays.Load()
}
