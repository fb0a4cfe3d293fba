package accept

// The descriptors that are kept free for whatever is not a connection of the listener: an
// eighth, but at least minReserve, and of few at most half.
const minReserve = 64

// Capacity returns how many connections the process has file descriptors for, if each can
// need cost of them and fixed are needed in any case. Beyond that some are left for the
// operators' interface, backends that reconnect, files, and questions to other services. 0
// means that the process has no limit.
func Capacity(cost, fixed int) int { return capacity(descriptors(), cost, fixed) }

func capacity(limit, cost, fixed int) int {
	if limit == 0 {
		return 0
	}
	reserve := min(max(limit/8, minReserve), limit/2)
	return max((limit-reserve-fixed)/cost, 1)
}
