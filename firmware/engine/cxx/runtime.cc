/* What does C++ want from a program that has neither heap nor exit? Linked with engines that are
 * written in it; each function stands in for one of libstdc++ or newlib that would bring a heap, a
 * terminal and an exit along. What nobody calls is not linked. */
#include <cerrno>
#include <cstddef>

/* Virtual destructors have a variant that frees the object; nobody calls it. */
void operator delete(void *) noexcept { __builtin_trap(); }
void operator delete(void *, std::size_t) noexcept { __builtin_trap(); }

extern "C" {

/* Each of these is a defect: a UsageFault, which the port reports with its place. */
[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }
[[noreturn]] void abort() { __builtin_trap(); }
[[noreturn]] void __assert_func(const char *, int, const char *, const char *) { __builtin_trap(); }

/* newlib's printf asks for memory for some floating-point numbers, and copes without. */
void *_sbrk(std::ptrdiff_t) {
    errno = ENOMEM;
    return reinterpret_cast<void *>(-1);
}
}
