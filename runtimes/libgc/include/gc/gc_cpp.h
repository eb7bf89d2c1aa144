/* gc_cpp.h - collected objects in C++.
 *
 *	class A : public gc { ... };		new A is collected; nothing is called when it dies
 *	class B : public gc_cleanup { ... };	the same, and its destructor is called then
 *	new (UseGC) C, new (NoGC) C		for other types; the second lives until delete, and is scanned
 *	new (PointerFreeGC) C			collected, and not scanned
 *	new (UseGC, fn, data) C			collected, and fn(object, data) is called when it dies
 *
 * delete frees at once, and runs the destructor. Arrays of gc_cleanup objects get no destructor calls when they die.
 * Link with -lgccpp for global operators new and delete whose objects are roots, and, unless GC_INCLUDE_NEW or
 * GC_NEW_ABORTS_ON_OOM is defined, for GC_throw_bad_alloc (-lgctba has only that). Define GC_NAMESPACE to have the
 * classes in namespace boehmgc, GC_NAME_CONFLICT to do without the name GC for UseGC. */
#ifndef GC_CPP_H
#define GC_CPP_H

#include "gc.h"

#include <stddef.h>

#if __cplusplus >= 201103L
#define GC_CPP_NOEXCEPT noexcept
#else
#define GC_CPP_NOEXCEPT throw()
#endif
#ifndef GC_NOEXCEPT
#define GC_NOEXCEPT GC_CPP_NOEXCEPT
#endif

#ifndef GC_NO_OPERATOR_NEW_ARRAY
#define GC_OPERATOR_NEW_ARRAY
#endif
#define GC_PLACEMENT_DELETE
#define GC_cdecl GC_CALLBACK

#if defined(GC_NEW_ABORTS_ON_OOM) || defined(_LIBCPP_NO_EXCEPTIONS)
#define GC_OP_NEW_OOM_CHECK(obj)		\
	do {					\
		if (!(obj))			\
			GC_abort_on_oom();	\
	} while (0)
#elif defined(GC_INCLUDE_NEW)
#include <new>
#define GC_OP_NEW_OOM_CHECK(obj)		\
	if (obj) {				\
	} else					\
		throw std::bad_alloc()
#else
GC_API void GC_CALL GC_throw_bad_alloc();
#define GC_OP_NEW_OOM_CHECK(obj)		\
	if (obj) {				\
	} else					\
		GC_throw_bad_alloc()
#endif

#ifdef GC_NAMESPACE
#define GC_NS_QUALIFY(T) boehmgc::T
namespace boehmgc {
#else
#define GC_NS_QUALIFY(T) T
#endif

enum GCPlacement {
	UseGC,
#ifndef GC_NAME_CONFLICT
	GC = UseGC,
#endif
	NoGC,
	PointerFreeGC
#ifdef GC_ATOMIC_UNCOLLECTABLE
	, PointerFreeNoGC
#endif
};

extern "C" {
typedef void(GC_CALLBACK *GCCleanUpFunc)(void *obj, void *clientData);
}

/* What all the operators below come down to. */
inline void *gc_cpp_alloc(size_t size, GCPlacement placement)
{
	void *obj;

	switch (placement) {
	case UseGC:
		obj = GC_MALLOC(size);
		break;
	case PointerFreeGC:
		obj = GC_MALLOC_ATOMIC(size);
		break;
#ifdef GC_ATOMIC_UNCOLLECTABLE
	case PointerFreeNoGC:
		obj = GC_MALLOC_ATOMIC_UNCOLLECTABLE(size);
		break;
#endif
	default:
		obj = GC_MALLOC_UNCOLLECTABLE(size);
	}
	GC_OP_NEW_OOM_CHECK(obj);
	return obj;
}

class gc {
public:
	void *operator new(size_t size) { return gc_cpp_alloc(size, UseGC); }
	void *operator new(size_t size, GCPlacement placement) { return gc_cpp_alloc(size, placement); }
	void *operator new(size_t, void *place) GC_NOEXCEPT { return place; }
	void operator delete(void *obj) GC_NOEXCEPT { GC_FREE(obj); }
	void operator delete(void *obj, GCPlacement) GC_NOEXCEPT { GC_FREE(obj); }
	void operator delete(void *, void *) GC_NOEXCEPT {}
#ifdef GC_OPERATOR_NEW_ARRAY
	void *operator new[](size_t size) { return gc_cpp_alloc(size, UseGC); }
	void *operator new[](size_t size, GCPlacement placement) { return gc_cpp_alloc(size, placement); }
	void *operator new[](size_t, void *place) GC_NOEXCEPT { return place; }
	void operator delete[](void *obj) GC_NOEXCEPT { GC_FREE(obj); }
	void operator delete[](void *obj, GCPlacement) GC_NOEXCEPT { GC_FREE(obj); }
	void operator delete[](void *, void *) GC_NOEXCEPT {}
#endif
};

class gc_cleanup : virtual public gc {
public:
	/* The finalizer is registered for the start of the memory that this object lies in, with the distance as data:
	 * it need not be the first base of its class. */
	gc_cleanup()
	{
		void *base = GC_base(static_cast<void *>(this));

		if (!base)
			return; /* on a stack, or static */
		GC_finalization_proc old_proc = 0;
		void *old_data = 0;

		GC_register_finalizer_ignore_self(base, static_cast<GC_finalization_proc>(cleanup), distance(base),
						  &old_proc, &old_data);
		/* Another object of the same memory is responsible already. */
		if (old_proc)
			GC_register_finalizer_ignore_self(base, old_proc, old_data, 0, 0);
	}
	virtual ~gc_cleanup()
	{
		void *base = GC_base(static_cast<void *>(this));

		if (base)
			GC_register_finalizer_ignore_self(base, 0, 0, 0, 0);
	}

private:
	void *distance(void *base)
	{
		return reinterpret_cast<void *>(reinterpret_cast<char *>(this) - reinterpret_cast<char *>(base));
	}
	static void GC_CALLBACK cleanup(void *obj, void *data)
	{
		reinterpret_cast<gc_cleanup *>(static_cast<char *>(obj) + reinterpret_cast<ptrdiff_t>(data))->~gc_cleanup();
	}
};

#ifdef GC_NAMESPACE
}
#endif

inline void *operator new(size_t size, GC_NS_QUALIFY(GCPlacement) placement, GC_NS_QUALIFY(GCCleanUpFunc) cleanup = 0,
			  void *clientData = 0)
{
	void *obj = GC_NS_QUALIFY(gc_cpp_alloc)(size, placement);

	if (cleanup && (placement == GC_NS_QUALIFY(UseGC) || placement == GC_NS_QUALIFY(PointerFreeGC)))
		GC_REGISTER_FINALIZER_IGNORE_SELF(obj, cleanup, clientData, 0, 0);
	return obj;
}

inline void operator delete(void *obj, GC_NS_QUALIFY(GCPlacement), GC_NS_QUALIFY(GCCleanUpFunc), void *) GC_NOEXCEPT
{
	GC_FREE(obj);
}

#ifdef GC_OPERATOR_NEW_ARRAY
inline void *operator new[](size_t size, GC_NS_QUALIFY(GCPlacement) placement, GC_NS_QUALIFY(GCCleanUpFunc) cleanup = 0,
			    void *clientData = 0)
{
	return ::operator new(size, placement, cleanup, clientData);
}

inline void operator delete[](void *obj, GC_NS_QUALIFY(GCPlacement), GC_NS_QUALIFY(GCCleanUpFunc), void *) GC_NOEXCEPT
{
	GC_FREE(obj);
}
#endif

#endif
