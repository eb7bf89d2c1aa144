/* gc_allocator.h - allocators for the containers of C++.
 *
 *	gc_allocator<T>			what the container holds is collected with it; not scanned if T has no pointers,
 *					which is known of arithmetic types and declared of others by GC_DECLARE_PTRFREE(T)
 *	gc_allocator_ignore_off_page<T>	the same for large arrays of which a pointer into the first 256 bytes is kept
 *	traceable_allocator<T>		the container itself need not be in collected memory: what it holds is a root
 */
#ifndef GC_ALLOCATOR_H
#define GC_ALLOCATOR_H

#include "gc.h"

#include <new>
#include <stddef.h>

#ifndef GC_NOEXCEPT
#if __cplusplus >= 201103L
#define GC_NOEXCEPT noexcept
#else
#define GC_NOEXCEPT throw()
#endif
#endif
#ifndef GC_ATTR_EXPLICIT
#if __cplusplus >= 201103L
#define GC_ATTR_EXPLICIT explicit
#else
#define GC_ATTR_EXPLICIT
#endif
#endif

#ifndef GC_ALLOCATOR_THROW_OR_ABORT
#if defined(GC_NEW_ABORTS_ON_OOM) || defined(_LIBCPP_NO_EXCEPTIONS)
#define GC_ALLOCATOR_THROW_OR_ABORT() GC_abort_on_oom()
#else
#define GC_ALLOCATOR_THROW_OR_ABORT() throw std::bad_alloc()
#endif
#endif

struct GC_true_type {};
struct GC_false_type {};

template <class GC_tp> struct GC_type_traits {
	GC_false_type GC_is_ptr_free;
};

#define GC_DECLARE_PTRFREE(T)                     \
	template <> struct GC_type_traits<T> {    \
		GC_true_type GC_is_ptr_free;      \
	}

GC_DECLARE_PTRFREE(char);
GC_DECLARE_PTRFREE(signed char);
GC_DECLARE_PTRFREE(unsigned char);
GC_DECLARE_PTRFREE(signed short);
GC_DECLARE_PTRFREE(unsigned short);
GC_DECLARE_PTRFREE(signed int);
GC_DECLARE_PTRFREE(unsigned int);
GC_DECLARE_PTRFREE(signed long);
GC_DECLARE_PTRFREE(unsigned long);
GC_DECLARE_PTRFREE(float);
GC_DECLARE_PTRFREE(double);
GC_DECLARE_PTRFREE(long double);

template <class GC_Tp> inline void *GC_selective_alloc(size_t n, GC_Tp, bool ignore_off_page)
{
	void *obj = ignore_off_page ? GC_MALLOC_IGNORE_OFF_PAGE(n) : GC_MALLOC(n);

	if (!obj)
		GC_ALLOCATOR_THROW_OR_ABORT();
	return obj;
}

template <> inline void *GC_selective_alloc<GC_true_type>(size_t n, GC_true_type, bool ignore_off_page)
{
	void *obj = ignore_off_page ? GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(n) : GC_MALLOC_ATOMIC(n);

	if (!obj)
		GC_ALLOCATOR_THROW_OR_ABORT();
	return obj;
}

/* Where the three differ. */
template <bool ignore_off_page> struct GC_collected_source {
	template <class T> static void *alloc(size_t size)
	{
		GC_type_traits<T> traits;

		return GC_selective_alloc(size, traits.GC_is_ptr_free, ignore_off_page);
	}
};

struct GC_traceable_source {
	template <class T> static void *alloc(size_t size)
	{
		void *obj = GC_MALLOC_UNCOLLECTABLE(size);

		if (!obj)
			GC_ALLOCATOR_THROW_OR_ABORT();
		return obj;
	}
};

#define GC_ALLOCATOR_(name, source)                                                                              \
	template <class GC_Tp> class name {                                                                      \
	public:                                                                                                  \
		typedef size_t size_type;                                                                        \
		typedef ptrdiff_t difference_type;                                                               \
		typedef GC_Tp *pointer;                                                                          \
		typedef const GC_Tp *const_pointer;                                                              \
		typedef GC_Tp &reference;                                                                        \
		typedef const GC_Tp &const_reference;                                                            \
		typedef GC_Tp value_type;                                                                        \
		template <class GC_Tp1> struct rebind {                                                          \
			typedef name<GC_Tp1> other;                                                              \
		};                                                                                               \
		name() GC_NOEXCEPT {}                                                                            \
		name(const name &) GC_NOEXCEPT {}                                                                \
		template <class GC_Tp1> GC_ATTR_EXPLICIT name(const name<GC_Tp1> &) GC_NOEXCEPT {}               \
		~name() GC_NOEXCEPT {}                                                                           \
		pointer address(reference x) const { return &x; }                                                \
		const_pointer address(const_reference x) const { return &x; }                                    \
		GC_Tp *allocate(size_type n, const void * = 0)                                                   \
		{                                                                                                \
			if (n > max_size())                                                                      \
				GC_ALLOCATOR_THROW_OR_ABORT();                                                   \
			return static_cast<GC_Tp *>(source::template alloc<GC_Tp>(n * sizeof(GC_Tp)));           \
		}                                                                                                \
		void deallocate(pointer p, size_type) GC_NOEXCEPT { GC_FREE(p); }                                \
		size_type max_size() const GC_NOEXCEPT { return size_t(-1) / sizeof(GC_Tp); }                    \
		void construct(pointer p, const GC_Tp &value) { new (static_cast<void *>(p)) GC_Tp(value); }     \
		void destroy(pointer p) { p->~GC_Tp(); }                                                         \
	};                                                                                                       \
	template <> class name<void> {                                                                           \
	public:                                                                                                  \
		typedef size_t size_type;                                                                        \
		typedef ptrdiff_t difference_type;                                                               \
		typedef void *pointer;                                                                           \
		typedef const void *const_pointer;                                                               \
		typedef void value_type;                                                                         \
		template <class GC_Tp1> struct rebind {                                                          \
			typedef name<GC_Tp1> other;                                                              \
		};                                                                                               \
	};                                                                                                       \
	template <class GC_T1, class GC_T2> inline bool operator==(const name<GC_T1> &, const name<GC_T2> &) GC_NOEXCEPT \
	{                                                                                                        \
		return true;                                                                                     \
	}                                                                                                        \
	template <class GC_T1, class GC_T2> inline bool operator!=(const name<GC_T1> &, const name<GC_T2> &) GC_NOEXCEPT \
	{                                                                                                        \
		return false;                                                                                    \
	}

GC_ALLOCATOR_(gc_allocator, GC_collected_source<false>)
GC_ALLOCATOR_(gc_allocator_ignore_off_page, GC_collected_source<true>)
GC_ALLOCATOR_(traceable_allocator, GC_traceable_source)

#undef GC_ALLOCATOR_

#endif
